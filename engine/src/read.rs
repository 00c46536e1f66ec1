//! Reads MessagePack into types that say exactly what is expected.
//!
//! The general reader of `rmp-serde` accepts whatever a type might make of any value, and every field of every type gets
//! code for all of it: half of the filter was that. This one goes by the type alone: where an array is expected, only
//! an array is read. It reads what `rmp-serde` writes.

use std::fmt;

use rmp::{Marker, decode};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, SeqAccess, VariantAccess,
    Visitor,
};

/// How deeply values may lie in each other; a program needs about ten.
const MAX_DEPTH: u32 = 64;

/// Reads one value, which must be all there is.
///
/// # Errors
/// Bytes that are not the value.
pub(crate) fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    let mut reader = Reader {
        rest: bytes,
        depth: 0,
    };
    let value = T::deserialize(&mut reader)?;
    match reader.rest.len() {
        0 => Ok(value),
        left => Err(Error(format!("{left} bytes follow"))),
    }
}

/// Why bytes are not the expected value.
#[derive(Debug)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

struct Reader<'de> {
    rest: &'de [u8],
    depth: u32,
}

impl<'de> Reader<'de> {
    #[cold]
    fn not(&self, expected: &str) -> Error {
        Error(format!(
            "expected {expected}, {} bytes before the end",
            self.rest.len()
        ))
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(self.not("a value less deep")),
            false => Ok(()),
        }
    }

    #[inline(never)]
    fn unsigned(&mut self) -> Result<u64, Error> {
        decode::read_int(&mut self.rest).map_err(|_| self.not("an integer"))
    }

    #[inline(never)]
    fn signed(&mut self) -> Result<i64, Error> {
        decode::read_int(&mut self.rest).map_err(|_| self.not("an integer"))
    }

    fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, Error> {
        let number = self.unsigned()?;
        T::try_from(number).map_err(|_| self.not("a smaller integer"))
    }

    #[inline(never)]
    fn text(&mut self) -> Result<&'de str, Error> {
        let Ok((text, rest)) = decode::read_str_from_slice(self.rest) else {
            return Err(self.not("text"));
        };
        self.rest = rest;
        Ok(text)
    }

    #[inline(never)]
    fn bytes(&mut self) -> Result<&'de [u8], Error> {
        let length = decode::read_bin_len(&mut self.rest).map_err(|_| self.not("bytes"))?;
        let Some((bytes, rest)) = self.rest.split_at_checked(length as usize) else {
            return Err(self.not("bytes"));
        };
        self.rest = rest;
        Ok(bytes)
    }

    #[inline(never)]
    fn array(&mut self) -> Result<u32, Error> {
        self.enter()?;
        decode::read_array_len(&mut self.rest).map_err(|_| self.not("an array"))
    }

    /// Reads the marker if it comes next.
    #[inline(never)]
    fn next_is(&mut self, marker: Marker) -> bool {
        let rest = self.rest.strip_prefix(&[marker.to_u8()]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The name of a variant, and whether a value follows.
    #[inline(never)]
    fn variant(&mut self) -> Result<(&'de str, bool), Error> {
        self.enter()?;
        // A variant with a value is a map with one entry.
        let has_value = self.next_is(Marker::FixMap(1));
        Ok((self.text()?, has_value))
    }
}

/// Methods that read an integer.
macro_rules! integers {
    ($($method:ident $visit:ident $read:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let number = self.$read()?;
            visitor.$visit(number)
        }
    )*};
}

/// Methods for what a program has none of.
macro_rules! never {
    ($($method:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(self.not("a type that a program has"))
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    /// As `rmp-serde` has it: addresses are bytes, not text.
    fn is_human_readable(&self) -> bool {
        false
    }

    integers! {
        deserialize_u8 visit_u8 narrow,
        deserialize_u16 visit_u16 narrow,
        deserialize_u32 visit_u32 narrow,
        deserialize_u64 visit_u64 unsigned,
        deserialize_i64 visit_i64 signed,
    }

    never! {
        deserialize_any,
        deserialize_i8,
        deserialize_i16,
        deserialize_i32,
        deserialize_f32,
        deserialize_char,
        deserialize_unit,
        deserialize_map,
        deserialize_ignored_any,
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = decode::read_bool(&mut self.rest).map_err(|_| self.not("a boolean"))?;
        visitor.visit_bool(value)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = decode::read_f64(&mut self.rest).map_err(|_| self.not("a number"))?;
        visitor.visit_f64(value)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.next_is(Marker::Null) {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Error> {
        Err(self.not("a type that a program has"))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut items = Items {
            left: self.array()?,
            reader: self,
        };
        let value = visitor.visit_seq(&mut items)?;
        items.end()?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (name, has_value) = self.variant()?;
        let value = visitor.visit_enum(Variant {
            name,
            has_value,
            reader: self,
        })?;
        self.depth -= 1;
        Ok(value)
    }
}

/// The values of an array.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: u32,
}

impl Items<'_, '_> {
    fn end(self) -> Result<(), Error> {
        self.reader.depth -= 1;
        match self.left {
            0 => Ok(()),
            _ => Err(self.reader.not("the end of an array")),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    /// No more than there can be: a value takes a byte.
    fn size_hint(&self) -> Option<usize> {
        Some(self.reader.rest.len().min(self.left as usize))
    }
}

/// One of the variants of an enum.
struct Variant<'r, 'de> {
    name: &'de str,
    has_value: bool,
    reader: &'r mut Reader<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.has_value {
            false => Ok(()),
            true => Err(self.reader.not("a variant without a value")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        match self.has_value {
            true => seed.deserialize(self.reader),
            false => Err(self.reader.not("a variant with a value")),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        match self.has_value {
            true => self.reader.deserialize_seq(visitor),
            false => Err(self.reader.not("a variant with values")),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.tuple_variant(0, visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        One(u8),
        Two(i64, Option<bool>),
        Named { text: String, list: Vec<Shape> },
    }

    fn written<T: Serialize>(value: &T) -> Vec<u8> {
        rmp_serde::to_vec(value).expect("writes")
    }

    fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, String> {
        from_slice(bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_what_is_written() {
        let shapes = vec![
            Shape::Unit,
            Shape::One(255),
            Shape::Two(i64::MIN, None),
            Shape::Two(i64::MAX, Some(true)),
            Shape::Named {
                text: "é".repeat(40_000),
                list: vec![Shape::Unit, Shape::One(0)],
            },
        ];
        let bytes = written(&shapes);
        assert_eq!(read(&bytes), Ok(shapes));
        let numbers = (u64::MAX, 0.1_f64, serde_bytes::ByteBuf::from(vec![7; 300]));
        assert_eq!(read(&written(&numbers)), Ok(numbers));
        for address in ["10.0.0.1", "2001:db8::1"] {
            let address: std::net::IpAddr = address.parse().expect("an address");
            assert_eq!(read(&written(&address)), Ok(address));
        }
    }

    #[test]
    fn refuses_another_type() {
        let error = read::<(u8, bool)>(&written(&(1, 2))).unwrap_err();
        assert_eq!(error, "expected a boolean, 0 bytes before the end");
        assert!(read::<u8>(&written(&256)).is_err());
        assert!(read::<u64>(&written(&-1)).is_err());
        assert!(read::<Shape>(&written(&"One")).is_err());
        assert!(read::<Shape>(&written(&"Three")).is_err());
        assert!(read::<String>(&written(&serde_bytes::Bytes::new(b"text"))).is_err());
    }

    #[test]
    fn refuses_arrays_of_another_length() {
        assert!(read::<(u8, u8)>(&written(&(1, 2, 3))).is_err());
        assert!(read::<(u8, u8)>(&written(&vec![1])).is_err());
    }

    #[test]
    fn refuses_what_is_cut_short_and_what_follows() {
        let bytes = written(&vec![Shape::One(1), Shape::Two(500, Some(false))]);
        for end in 0..bytes.len() {
            assert!(read::<Vec<Shape>>(&bytes[..end]).is_err(), "cut at {end}");
        }
        let error = read::<u8>(&[1, 2]).unwrap_err();
        assert_eq!(error, "1 bytes follow");
    }

    /// A length of four billion costs nothing before there is a value for it.
    #[test]
    fn a_great_length_allocates_nothing() {
        let error = read::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
        assert_eq!(error, "expected an integer, 0 bytes before the end");
    }

    #[test]
    fn depth_is_bounded() {
        let mut shape = Shape::Unit;
        for _ in 0..MAX_DEPTH {
            shape = Shape::Named {
                text: String::new(),
                list: vec![shape],
            };
        }
        assert!(read::<Shape>(&written(&shape)).is_err());
    }
}
