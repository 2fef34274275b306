//! Whether a migration may run again after it was interrupted.

/// Whether an interrupted `up` may run again from its beginning.
///
/// A migration file says so in a constant:
///
/// ```
/// use cargo_migrations::prelude::*;
///
/// pub const RERUN: Rerun = Rerun::Safe;
///
/// pub async fn up(db: &Database) -> Result<()> {
///     let users = db.collection::<Document>("users");
///     users.update_many(doc! { "active": { "$exists": false } }, doc! { "$set": { "active": true } }).await?;
///     Ok(())
/// }
/// ```
///
/// It is about `up` alone. An interrupted `down` always waits for a person, because going on and going back are both possible then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rerun {
    /// It is not known. A person has to look at the data, and name the migration: that of a file without the constant.
    #[default]
    Unknown,
    /// Running `up` again from its beginning does no harm, wherever it was interrupted. A plain `execute` runs it again by itself.
    Safe,
}
