//! What each command does. A module for each thing that is asked about.

pub(crate) mod content;
pub(crate) mod facts;
pub(crate) mod files;
pub(crate) mod find;
pub(crate) mod generations;
pub(crate) mod machine;
pub(crate) mod measure;
pub(crate) mod sums;

#[cfg(test)]
mod tests;
