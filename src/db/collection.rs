//! A collection in a transaction: the driver's own actions, each bound to the session.

use std::borrow::Borrow;
use std::fmt;

use mongodb::action::{
    Aggregate, CountDocuments, CreateIndex, Delete, Distinct, ExplicitSession, Find, FindOne, FindOneAndDelete,
    FindOneAndReplace, FindOneAndUpdate, InsertMany, InsertOne, ReplaceOne, Single, Update,
};
use mongodb::bson::Document;
use mongodb::options::UpdateModifications;
use mongodb::{ClientSession, Collection, IndexModel};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A collection whose operations belong to a transaction, as [`Transaction::collection`](crate::Transaction::collection) returns
/// it.
///
/// Each method does what the method of that name does on the driver's [`Collection`], and returns the driver's own action, with
/// all its options.
pub struct TxCollection<'t, T: Send + Sync> {
    pub(super) collection: Collection<T>,
    pub(super) session: &'t mut ClientSession,
}

impl<T: Send + Sync> TxCollection<'_, T> {
    /// Runs an aggregation pipeline. Read the cursor with [`Transaction::session`](crate::Transaction::session).
    pub fn aggregate(&mut self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_, ExplicitSession<'_>> {
        self.collection.aggregate(pipeline).session(&mut *self.session)
    }

    /// Counts the documents that match.
    pub fn count_documents(&mut self, filter: Document) -> CountDocuments<'_> {
        self.collection.count_documents(filter).session(&mut *self.session)
    }

    /// Creates an index. In a transaction the server allows it only on new or empty collections.
    pub fn create_index(&mut self, index: IndexModel) -> CreateIndex<'_, Single> {
        self.collection.create_index(index).session(&mut *self.session)
    }

    /// Deletes the documents that match.
    pub fn delete_many(&mut self, filter: Document) -> Delete<'_> {
        self.collection.delete_many(filter).session(&mut *self.session)
    }

    /// Deletes one document that matches.
    pub fn delete_one(&mut self, filter: Document) -> Delete<'_> {
        self.collection.delete_one(filter).session(&mut *self.session)
    }

    /// Returns the distinct values of a field in the documents that match.
    pub fn distinct(&mut self, field: impl AsRef<str>, filter: Document) -> Distinct<'_> {
        self.collection.distinct(field, filter).session(&mut *self.session)
    }

    /// Finds the documents that match. Read the cursor with [`Transaction::session`](crate::Transaction::session).
    pub fn find(&mut self, filter: Document) -> Find<'_, T, ExplicitSession<'_>> {
        self.collection.find(filter).session(&mut *self.session)
    }

    /// Updates all documents that match, with update operators or a pipeline.
    pub fn update_many(&mut self, query: Document, update: impl Into<UpdateModifications>) -> Update<'_> {
        self.collection.update_many(query, update).session(&mut *self.session)
    }

    /// Updates one document that matches, with update operators or a pipeline.
    pub fn update_one(&mut self, query: Document, update: impl Into<UpdateModifications>) -> Update<'_> {
        self.collection.update_one(query, update).session(&mut *self.session)
    }
}

impl<T: DeserializeOwned + Send + Sync> TxCollection<'_, T> {
    /// Finds one document that matches.
    pub fn find_one(&mut self, filter: Document) -> FindOne<'_, T> {
        self.collection.find_one(filter).session(&mut *self.session)
    }

    /// Deletes one document that matches, and returns it.
    pub fn find_one_and_delete(&mut self, filter: Document) -> FindOneAndDelete<'_, T> {
        self.collection.find_one_and_delete(filter).session(&mut *self.session)
    }

    /// Updates one document that matches, and returns it.
    pub fn find_one_and_update(
        &mut self,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> FindOneAndUpdate<'_, T> {
        self.collection.find_one_and_update(filter, update).session(&mut *self.session)
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync> TxCollection<'_, T> {
    /// Replaces one document that matches, and returns it.
    pub fn find_one_and_replace(&mut self, filter: Document, replacement: impl Borrow<T>) -> FindOneAndReplace<'_, T> {
        self.collection.find_one_and_replace(filter, replacement).session(&mut *self.session)
    }
}

impl<T: Serialize + Send + Sync> TxCollection<'_, T> {
    /// Inserts documents.
    pub fn insert_many(&mut self, documents: impl IntoIterator<Item = impl Borrow<T>>) -> InsertMany<'_> {
        self.collection.insert_many(documents).session(&mut *self.session)
    }

    /// Inserts a document.
    pub fn insert_one(&mut self, document: impl Borrow<T>) -> InsertOne<'_> {
        self.collection.insert_one(document).session(&mut *self.session)
    }

    /// Replaces one document that matches.
    pub fn replace_one(&mut self, query: Document, replacement: impl Borrow<T>) -> ReplaceOne<'_> {
        self.collection.replace_one(query, replacement).session(&mut *self.session)
    }
}

impl<T: Send + Sync> fmt::Debug for TxCollection<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxCollection").field("name", &self.collection.name()).finish_non_exhaustive()
    }
}
