//! Give every post a slug for its address, made from its title.
use cargo_migrations::prelude::*;

pub async fn up(db: &Db) -> Result<()> {
    let posts = db.collection::<Document>("posts");
    let missing = doc! { "slug": { "$exists": false } };
    let progress = db.progress(posts.count_documents(missing.clone()).await?).with_message("slugs");
    let mut cursor = posts.find(missing).projection(doc! { "title": 1 }).await?;
    while cursor.advance().await? {
        let post: Document = cursor.deserialize_current()?;
        let slug = slug(post.get_str("title")?);
        posts.update_one(doc! { "_id": post.get("_id") }, doc! { "$set": { "slug": slug } }).await?;
        progress.inc(1);
    }
    Ok(())
}

pub async fn down(db: &Database) -> Result<()> {
    db.collection::<Document>("posts").update_many(doc! {}, doc! { "$unset": { "slug": "" } }).await?;
    Ok(())
}

fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}
