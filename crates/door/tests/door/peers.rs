//! A door against other people's programs: OpenSSL, sslscan, HAProxy, pebble. Each runs on
//! loopback, in a directory of its own, and is ended with its test.

mod acme;
mod haproxy;
mod keys;
mod openssl;
mod sslscan;
