//! Create posts, with a schema that the server checks, and their indexes.
use cargo_migrations::mongodb::IndexModel;
use cargo_migrations::mongodb::options::IndexOptions;
use cargo_migrations::prelude::*;

pub async fn up(db: &Database) -> Result<()> {
    let schema = doc! {
        "bsonType": "object",
        "required": ["title", "body", "author"],
        "properties": {
            "title": { "bsonType": "string", "minLength": 1 },
            "body": { "bsonType": "string" },
            "author": { "bsonType": ["string", "object"] },
        },
    };
    db.create_collection("posts").validator(doc! { "$jsonSchema": schema }).await?;

    let by_author = IndexModel::builder().keys(doc! { "author": 1, "_id": -1 }).build();
    let unique_title =
        IndexModel::builder().keys(doc! { "title": 1 }).options(IndexOptions::builder().unique(true).build()).build();
    db.collection::<Document>("posts").create_indexes([by_author, unique_title]).await?;
    Ok(())
}

pub async fn down(db: &Database) -> Result<()> {
    db.collection::<Document>("posts").drop().await?;
    Ok(())
}
