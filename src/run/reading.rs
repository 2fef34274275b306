//! What is read before a run: what the registry and the log know. Everything that reads them finds out here whether they are ours.

use mongodb::ClientSession;

use super::foreign;
use super::request::Request;
use crate::error::{Error, describe};
use crate::store::{Store, View};

/// Reads what the registry and the log know. Fails if the registry is another tool's.
pub(crate) async fn read(store: &Store) -> Result<View, Error> {
    let view = async { store.view(&mut store.database().client().start_session().await?).await };
    ours(store, view.await)
}

/// Reads what the registry and the log know, with what a request needs in addition. Fails if the registry is another tool's.
pub(crate) async fn read_for(store: &Store, request: &Request<'_>) -> Result<View, Error> {
    let view = async { view_for(store, request, &mut store.database().client().start_session().await?).await };
    ours(store, view.await)
}

/// Reads what [`read_for`] reads, in a session that there is already. [`ours`] looks at the result.
pub(super) async fn view_for(
    store: &Store,
    request: &Request<'_>,
    session: &mut ClientSession,
) -> mongodb::error::Result<View> {
    let mut view = store.view(session).await?;
    if request.goal.is_about_last_run() {
        view.last_run = store.last_run(&view.entries, session).await?;
    }
    Ok(view)
}

/// What was read, if all of it is ours.
pub(super) fn ours(store: &Store, view: mongodb::error::Result<View>) -> Result<View, Error> {
    let view = view.map_err(|error| unreadable(store, error))?;
    match foreign::error(store.registry_name(), store.database().name(), &view.foreign) {
        Some(error) => Err(error),
        None => Ok(view),
    }
}

pub(super) fn unreadable(store: &Store, error: mongodb::error::Error) -> Error {
    describe::unreadable(&format!("the registry `{}`", store.registry_name()), error)
}
