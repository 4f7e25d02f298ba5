//! A typed client of the hub's administration API, and the contexts it is used in.
