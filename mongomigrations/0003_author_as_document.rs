//! Give authors a first and a last name: "Ada Lovelace" becomes a document.
use cargo_migrations::prelude::*;

pub async fn up(db: &Database) -> Result<()> {
    // The server computes it, so no document is transferred. Authors that are documents already are not changed, so that it
    // may run twice.
    let parts = doc! { "$split": ["$author", " "] };
    let name = doc! {
        "first": { "$arrayElemAt": [parts.clone(), 0] },
        "last": { "$arrayElemAt": [parts, -1] },
    };
    let posts = db.collection::<Document>("posts");
    posts.update_many(doc! { "author": { "$type": "string" } }, vec![doc! { "$set": { "author": name } }]).await?;
    Ok(())
}

pub async fn down(db: &Database) -> Result<()> {
    let name = doc! { "$concat": ["$author.first", " ", "$author.last"] };
    let posts = db.collection::<Document>("posts");
    posts.update_many(doc! { "author": { "$type": "object" } }, vec![doc! { "$set": { "author": name } }]).await?;
    Ok(())
}
