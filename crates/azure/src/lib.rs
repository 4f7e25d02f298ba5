//! What programs say that were written for Azure IoT Hub and for Azure's storage, as bytes and
//! values.
//!
//! For whoever serves such programs. No input or output, no clock, no random numbers: the caller
//! has them. What is said stands in Microsoft's documents and, where those are silent, in what the
//! SDKs were seen to send.

pub mod bag;
pub mod device;
pub mod provisioning;
pub mod sas;
pub mod service;
pub mod storage;
pub mod upload;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// What is encoded in names and values: all but what never needs it (RFC 3986, section 2.3).
pub(crate) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
