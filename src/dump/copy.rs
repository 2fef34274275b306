//! Dumps one collection: as of the dump's point in time or, if the server cannot give that any more, as it is now.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mongodb::Database;
use mongodb::bson::{Bson, Timestamp};

use super::catalog::{self, Collection};
use super::manifest::Contents;
use super::write::{self, Shared, Source, Target};
use super::{file_names, snapshot};
use crate::error::Result;
use crate::error::codes::{self, code_of};
use crate::model::extended_json;

/// How often a collection is read as it is now, if it keeps being replaced while it is read.
const TRIES: u32 = 10;

/// The pause between two of these. A new collection can be read as of a point in time only when a majority has it.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of one collection.
#[derive(Debug)]
pub(super) enum Copied {
    /// It was dumped as planned.
    Planned(Contents),
    /// It was replaced, so what has its name now was dumped.
    Later(Contents),
    /// It was dropped, and the server could not give it any more.
    Vanished(String),
}

/// As of when a collection is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AsOf {
    Time(Timestamp),
    /// A point in time that the server chooses.
    Recent,
    /// Each document as it is when it is read.
    Now,
}

/// Where collections are copied from and to.
pub(super) struct Copier<'a> {
    pub(super) database: &'a Database,
    /// The point in time to read as of.
    pub(super) time: Option<Timestamp>,
    /// The folder for the database's files.
    pub(super) folder: &'a Path,
    pub(super) gzip: bool,
    pub(super) shared: Arc<Shared>,
}

impl Copier<'_> {
    /// Dumps a collection of the plan.
    pub(super) async fn copy(&self, planned: &Collection) -> Result<Copied> {
        let planned_time = self.as_of(planned, AsOf::Time);
        if let Some(contents) = self.write(planned, planned_time).await? {
            return Ok(Copied::Planned(contents));
        }
        for _ in 0..TRIES {
            let Some(present) = catalog::present(self.database, &planned.name).await? else { break };
            let time = self.as_of(&present, |_| AsOf::Recent);
            if let Some(contents) = self.write(&present, time).await? {
                let is_later = matches!(planned_time, AsOf::Time(_));
                return Ok(if is_later { Copied::Later(contents) } else { Copied::Planned(contents) });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Copied::Vanished(planned.name.clone()))
    }

    /// As of when a collection is read in a dump of a point in time. The server refuses that for a capped one.
    fn as_of(&self, collection: &Collection, in_snapshot: impl Fn(Timestamp) -> AsOf) -> AsOf {
        self.time.filter(|_| !collection.is_capped()).map_or(AsOf::Now, in_snapshot)
    }

    /// Writes the files of a collection. Returns `None`, and leaves no file, if the collection is gone or was replaced.
    async fn write(&self, collection: &Collection, as_of: AsOf) -> Result<Option<Contents>> {
        let ending = if self.gzip { ".gz" } else { "" };
        let file = |name: &str, what: &str| self.folder.join(format!("{}.{what}{ending}", file_names::escape(name)));
        let source_name = collection.data();
        let target = Target {
            data: source_name.as_ref().map(|name| file(name, "bson")),
            metadata: file(&collection.name, "metadata.json"),
            metadata_text: extended_json::canonical(Bson::Document(collection.metadata())).to_string(),
            gzip: self.gzip,
        };
        let mut session = match as_of {
            AsOf::Time(time) => snapshot::start_session(self.database, Some(time)).await?,
            AsOf::Recent => snapshot::start_session(self.database, None).await?,
            AsOf::Now => self.database.client().start_session().await?,
        };
        let source = source_name.as_ref().map(|name| Source { database: self.database, name, session: &mut session });
        let written = match write::collection(source, &collection.name, &target, &self.shared).await {
            Ok(written) => written,
            Err(error) if is_gone(&*error) => {
                target.remove();
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // A read of a collection that is gone gets no documents, as from an empty one, and a read as of now gets those of the
        // collection that has the name meanwhile.
        let is_certain = match (as_of, &written.data) {
            (_, None) => true,
            (AsOf::Time(_), Some(data)) => data.documents > 0,
            _ => false,
        };
        if !is_certain && !self.is_present(collection).await? {
            target.remove();
            return Ok(None);
        }
        Ok(Some(Contents {
            name: collection.name.clone(),
            kind: collection.kind.as_str().to_owned(),
            in_snapshot: matches!(as_of, AsOf::Time(_)),
            data: written.data,
            metadata: written.metadata,
        }))
    }

    /// Whether that very collection is still there, and not another one of its name.
    async fn is_present(&self, collection: &Collection) -> mongodb::error::Result<bool> {
        let present = catalog::present_without_indexes(self.database, &collection.name).await?;
        Ok(present.is_some_and(|present| (present.kind, present.uuid) == (collection.kind, collection.uuid.clone())))
    }
}

/// Whether the error says that the collection was dropped, renamed or replaced.
pub(super) fn is_gone(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let code = error.downcast_ref::<mongodb::error::Error>().and_then(code_of);
    code.is_some_and(|code| codes::GONE.contains(&code))
}
