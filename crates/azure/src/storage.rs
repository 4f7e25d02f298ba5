//! What programs say that were written for Azure's Blob storage: the address that lets them at one
//! blob, what they ask for, and the words in which they are answered. Only block blobs, and only
//! what is done to one of them.

pub mod blocks;
pub mod condition;
pub mod operation;
pub mod problem;
pub mod range;
pub mod sas;
