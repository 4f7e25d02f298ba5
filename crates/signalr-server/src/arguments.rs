//! Arguments of calls, in both directions.

use outgate_signalr::payload::{Arguments, PayloadError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a call to clients takes: a tuple, with an item an argument; an array or a list.
pub trait ToArguments: Serialize + Send {}

/// What a handler takes as arguments: a tuple, with an item an argument, or a list.
pub trait FromArguments: Sized + Send {
    /// Reads them.
    ///
    /// # Errors
    /// They are more or fewer, or of other types.
    fn from_arguments(arguments: Arguments) -> Result<Self, ArgumentsError>;
}

/// Why arguments are not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentsError {
    /// They are more or fewer.
    #[error(
        "InvalidDataException: Invocation provides {given} argument(s) but target expects {expected}."
    )]
    Count {
        /// How many came.
        given: usize,
        /// How many should have.
        expected: usize,
    },
    /// One is of another type.
    #[error("InvalidDataException: Error binding arguments. Argument {at} is of another type")]
    Type {
        /// Which, from 1 on.
        at: usize,
        /// What it is.
        source: PayloadError,
    },
}

impl<T: Serialize + Send> ToArguments for Vec<T> {}
impl<T: Serialize + Send + Sync> ToArguments for &[T] {}
impl<T: Serialize + Send, const N: usize> ToArguments for [T; N] where [T; N]: Serialize {}

impl<T: DeserializeOwned + Send> FromArguments for Vec<T> {
    fn from_arguments(arguments: Arguments) -> Result<Self, ArgumentsError> {
        let read = |(at, payload): (usize, outgate_signalr::payload::Payload)| {
            payload
                .read()
                .map_err(|source| ArgumentsError::Type { at: at + 1, source })
        };
        arguments.into_iter().enumerate().map(read).collect()
    }
}

impl ToArguments for () {}

impl FromArguments for () {
    fn from_arguments(arguments: Arguments) -> Result<Self, ArgumentsError> {
        counted(&arguments, 0)
    }
}

fn counted(arguments: &Arguments, expected: usize) -> Result<(), ArgumentsError> {
    let given = arguments.len();
    if given == expected {
        return Ok(());
    }
    Err(ArgumentsError::Count { given, expected })
}

macro_rules! tuple {
    ($count:literal: $($name:ident $at:literal),+) => {
        impl<$($name: Serialize + Send),+> ToArguments for ($($name,)+) {}

        impl<$($name: DeserializeOwned + Send),+> FromArguments for ($($name,)+) {
            fn from_arguments(arguments: Arguments) -> Result<Self, ArgumentsError> {
                counted(&arguments, $count)?;
                let mut arguments = arguments.into_iter();
                Ok(($({
                    let count = ArgumentsError::Count { given: $at - 1, expected: $count };
                    let payload = arguments.next().ok_or(count)?;
                    payload
                        .read::<$name>()
                        .map_err(|source| ArgumentsError::Type { at: $at, source })?
                },)+))
            }
        }
    };
}

tuple!(1: A 1);
tuple!(2: A 1, B 2);
tuple!(3: A 1, B 2, C 3);
tuple!(4: A 1, B 2, C 3, D 4);
tuple!(5: A 1, B 2, C 3, D 4, E 5);
tuple!(6: A 1, B 2, C 3, D 4, E 5, F 6);
tuple!(7: A 1, B 2, C 3, D 4, E 5, F 6, G 7);
tuple!(8: A 1, B 2, C 3, D 4, E 5, F 6, G 7, H 8);

#[cfg(test)]
mod tests {
    use super::*;
    use outgate_signalr::json::Raw;

    fn arguments(values: &[i32]) -> Arguments {
        Arguments::Json(values.iter().map(|it| Raw::of(it).unwrap()).collect())
    }

    #[test]
    fn arguments_are_as_many_as_are_taken_and_of_their_types() {
        let two = <(i32, u8)>::from_arguments(arguments(&[-1, 2])).unwrap();
        assert_eq!(two, (-1, 2));
        let all = Vec::<i32>::from_arguments(arguments(&[1, 2, 3])).unwrap();
        assert_eq!(all, [1, 2, 3]);
        <()>::from_arguments(arguments(&[])).unwrap();
        let count = <(i32,)>::from_arguments(arguments(&[1, 2])).unwrap_err();
        assert!(matches!(
            count,
            ArgumentsError::Count {
                given: 2,
                expected: 1
            }
        ));
        let kind = <(i32, u8)>::from_arguments(arguments(&[1, -2])).unwrap_err();
        assert!(matches!(kind, ArgumentsError::Type { at: 2, .. }));
    }
}
