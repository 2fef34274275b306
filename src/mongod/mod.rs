//! Real `mongod` servers on a loopback port: the local development server, and throwaway servers.

pub(crate) mod binary;
pub(crate) mod local;
mod process;
mod replica_set;
mod throwaway;

pub use throwaway::Throwaway;
