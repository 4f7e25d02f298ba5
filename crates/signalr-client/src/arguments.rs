//! Arguments of methods, to the hub and from it: tuples, an element each.

use outgate_signalr::Protocol;
use outgate_signalr::payload::Payload;
use serde::{Serialize, de::DeserializeOwned};

use crate::value::{self, ValueError};

/// What a method of the hub is called with: a tuple of up to eight values, `()` for none and
/// `(value,)` for one.
pub trait Arguments: Write {}

/// What a handler is called with: a tuple of up to eight values. What the hub sends beyond that is
/// left unread, as Microsoft's clients do.
pub trait FromArguments: Read {}

mod sealed {
    use super::{Payload, Protocol, ValueError};

    pub trait Write {
        #[doc(hidden)]
        fn write(&self, protocol: Protocol) -> Result<Values, ValueError>;
    }

    pub trait Read: Sized {
        #[doc(hidden)]
        fn read(values: Values) -> Result<Self, ValueError>;
    }

    /// Values that nobody outside can look into.
    #[derive(Debug, Clone)]
    pub struct Values(pub(crate) Vec<Payload>);
}

pub(crate) use sealed::{Read, Values, Write};

impl Write for () {
    fn write(&self, _: Protocol) -> Result<Values, ValueError> {
        Ok(Values(Vec::new()))
    }
}

impl Arguments for () {}

impl Read for () {
    fn read(_: Values) -> Result<Self, ValueError> {
        Ok(())
    }
}

impl FromArguments for () {}

macro_rules! tuple {
    ($count:literal: $($type:ident $index:tt),+) => {
        impl<$($type: Serialize),+> Write for ($($type,)+) {
            fn write(&self, protocol: Protocol) -> Result<Values, ValueError> {
                Ok(Values(vec![$(value::of(protocol, &self.$index)?),+]))
            }
        }

        impl<$($type: Serialize),+> Arguments for ($($type,)+) {}

        impl<$($type: DeserializeOwned),+> Read for ($($type,)+) {
            fn read(values: Values) -> Result<Self, ValueError> {
                let count = values.0.len();
                let mut values = values.0.into_iter();
                let mut next = || values.next().ok_or_else(|| missing(count, $count));
                Ok(($(value::to::<$type>(next()?)?,)+))
            }
        }

        impl<$($type: DeserializeOwned),+> FromArguments for ($($type,)+) {}
    };
}

tuple!(1: A 0);
tuple!(2: A 0, B 1);
tuple!(3: A 0, B 1, C 2);
tuple!(4: A 0, B 1, C 2, D 3);
tuple!(5: A 0, B 1, C 2, D 3, E 4);
tuple!(6: A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(7: A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

fn missing(found: usize, wanted: usize) -> ValueError {
    ValueError::of(format!("{found} arguments in place of {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_is_read_as_it_was_written_in_either_protocol() {
        for protocol in [Protocol::Json, Protocol::MessagePack] {
            let written = ("a", 7_u8, None::<bool>).write(protocol).unwrap();
            let read = <(String, u8, Option<bool>)>::read(written.clone()).unwrap();
            assert_eq!(read, ("a".to_owned(), 7, None));
            let fewer = <(String,)>::read(written.clone()).unwrap();
            assert_eq!(fewer.0, "a");
            <()>::read(written.clone()).unwrap();
            let more = <(String, u8, (), ())>::read(written.clone()).unwrap_err();
            assert_eq!(more.to_string(), "3 arguments in place of 4");
            <(u8,)>::read(written).unwrap_err();
        }
    }
}
