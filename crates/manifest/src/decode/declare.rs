//! How records and choices of words are declared.

/// Declares a record: the struct, its reader and its schema. The text behind its name is what a
/// message calls it. Of a `kept` record what is right is kept beside mistakes; of any other one
/// mistake spoils the whole, since its rules judge its fields together.
macro_rules! record {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident = $what:literal {
            $( $(#[doc = $field_doc:literal])+ $field:ident : $type:ty = $presence:ident $key:literal, )+
        }
    ) => {
        $crate::decode::record! {
            @declare
            $(#[doc = $doc])+
            $name { $( $(#[doc = $field_doc])+ $field : $type = $presence $key, )+ }
            fn decode(
                node: &$crate::yaml::Node,
                out: &mut $crate::diagnostic::Diagnostics<'_>,
            ) -> Option<Self> {
                let before = out.errors();
                let fields = $crate::decode::Fields::open(node, $what, &[$($key),+], out)?;
                // All fields are read before the first missing one ends the record.
                $( let $field: Option<$type> = fields.$presence($key, out); )+
                let record = Self { $( $field: $field?, )+ };
                (out.errors() == before).then_some(record)
            }
        }
    };
    (
        $(#[doc = $doc:literal])+
        kept struct $name:ident = $what:literal {
            $( $(#[doc = $field_doc:literal])+ $field:ident : $type:ty = $presence:ident $key:literal, )+
        }
    ) => {
        $crate::decode::record! {
            @declare
            $(#[doc = $doc])+
            $name { $( $(#[doc = $field_doc])+ $field : $type = $presence $key, )+ }
            fn decode(
                node: &$crate::yaml::Node,
                out: &mut $crate::diagnostic::Diagnostics<'_>,
            ) -> Option<Self> {
                let fields = $crate::decode::Fields::open(node, $what, &[$($key),+], out)?;
                let fields = $crate::decode::Kept(fields);
                $( let $field: Option<$type> = fields.$presence($key, out); )+
                Some(Self { $( $field: $field?, )+ })
            }

            fn stand_in() -> Option<Self> {
                Some(Self { $( $field: <$type as $crate::decode::Decode>::stand_in()?, )+ })
            }
        }
    };
    (
        @declare
        $(#[doc = $doc:literal])+
        $name:ident {
            $( $(#[doc = $field_doc:literal])+ $field:ident : $type:ty = $presence:ident $key:literal, )+
        }
        $($reader:item)+
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $field_doc])+ pub $field: $type, )+
        }

        impl $crate::decode::Decode for $name {
            $($reader)+

            fn schema(defs: &mut $crate::decode::Defs) -> serde_json::Value {
                defs.define(stringify!($name), |defs| {
                    let mut properties = serde_json::Map::new();
                    let mut required: Vec<&str> = Vec::new();
                    $(
                        let doc = $crate::decode::doc(&[$($field_doc),+]);
                        let schema = <$type as $crate::decode::Decode>::schema(defs);
                        properties.insert($key.into(), $crate::decode::described(schema, doc));
                        if stringify!($presence) == "required" {
                            required.push($key);
                        }
                    )+
                    serde_json::json!({
                        "description": $crate::decode::doc(&[$($doc),+]),
                        "type": "object",
                        "additionalProperties": false,
                        "required": required,
                        "properties": properties,
                    })
                })
            }
        }
    };
}

/// Declares a choice of fixed words: the enum, its reader and its schema.
macro_rules! keyword {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident { $( $(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $( $(#[doc = $variant_doc])+ $variant, )+ }

        impl $name {
            /// Every one of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it in manifests, on the command line and in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            /// The one that a word names.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($word),+] })
            }
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::yaml::Node,
                out: &mut $crate::diagnostic::Diagnostics<'_>,
            ) -> Option<Self> {
                let word = $crate::decode::text(node, out)?;
                let found = Self::from_word(word);
                if found.is_none() {
                    $crate::decode::unknown_word(node, word, &[$($word),+], out);
                }
                found
            }

            fn stand_in() -> Option<Self> {
                Self::ALL.first().copied()
            }

            fn schema(_: &mut $crate::decode::Defs) -> serde_json::Value {
                serde_json::json!({ "type": "string", "enum": [$($word),+] })
            }
        }
    };
}

pub(crate) use {keyword, record};
