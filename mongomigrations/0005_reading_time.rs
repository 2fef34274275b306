//! Say of every post how many minutes it takes to read.
use cargo_migrations::prelude::*;

/// If it is killed, the next `execute` goes on with it.
pub const RERUN: Rerun = Rerun::Safe;

/// What people read in a minute.
const WORDS_A_MINUTE: usize = 200;

pub async fn up(db: &Db) -> Result<()> {
    // Posts whose body is edited meanwhile are read and computed again, and those that are added come along at the end.
    db.backfill("posts")
        .filter(doc! { "minutes": { "$exists": false } })
        .reads(["body"])
        .each(|post: Document| {
            let words = post.get_str("body")?.split_whitespace().count();
            Ok(Write::set("minutes", i64::try_from(words.div_ceil(WORDS_A_MINUTE).max(1))?))
        })
        .await?;
    Ok(())
}

pub async fn down(db: &Database) -> Result<()> {
    db.collection::<Document>("posts").update_many(doc! {}, doc! { "$unset": { "minutes": "" } }).await?;
    Ok(())
}
