//! The face of the API: HTTP in, commands down, documents out.

pub mod body;
pub mod fault;
