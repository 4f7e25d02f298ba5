//! Events pushed to back ends over HTTPS, signed, tried again, and set aside when nobody takes them.
