//! Outgate: render.
