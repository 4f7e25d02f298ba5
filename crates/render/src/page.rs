//! The customer page.
