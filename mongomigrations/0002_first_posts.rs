//! Write the first posts, so that there is something to read.
use cargo_migrations::prelude::*;

const TITLES: [&str; 3] = ["Hello, World", "Why we moved to Rust", "It's a Kind of Magic"];

pub async fn up(db: &Database) -> Result<()> {
    let posts = TITLES.map(|title| doc! { "title": title, "body": "To be written.", "author": "Ada Lovelace" });
    db.collection::<Document>("posts").insert_many(posts).await?;
    Ok(())
}

pub async fn down(db: &Database) -> Result<()> {
    db.collection::<Document>("posts").delete_many(doc! { "title": { "$in": TITLES.to_vec() } }).await?;
    Ok(())
}
