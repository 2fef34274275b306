//! Real `mongod` servers on loopback: the local development server, and throwaway ones.

mod binary;
pub(crate) mod local;
mod process;
mod replica_set;
mod throwaway;

pub use throwaway::Throwaway;
