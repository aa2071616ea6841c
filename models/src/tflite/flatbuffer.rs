//! A safe reader of FlatBuffers: tables, vectors and scalars of a byte slice, every access checked.
//!
//! The format in short: a table begins with the distance back to its vtable; the vtable has two lengths and
//! then, for each field, the field's offset in the table, or 0 where it has its default value. References to
//! tables and vectors are unsigned distances from where they are written. All numbers are little-endian.

use crate::error::ModelError;

/// A table of a file. Fields are numbered from 0 in the order of the schema.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    file: &'a [u8],
    start: usize,
    vtable: usize,
    vtable_len: usize,
}

impl<'a> Table<'a> {
    /// The root table of a file with this identifier.
    pub(super) fn root(file: &'a [u8], identifier: &[u8; 4]) -> Result<Self, ModelError> {
        match file.get(4..8) {
            Some(found) if found == identifier => Self::behind(file, 0),
            _ => Err(ModelError::format("not a TensorFlow Lite file: its identifier is missing")),
        }
    }

    /// The table that the reference at `position` leads to.
    fn behind(file: &'a [u8], position: usize) -> Result<Self, ModelError> {
        let start = follow(file, position)?;
        let back = i64::from(i32::from_le_bytes(array(file, start)?));
        // A slice's length fits i64, so the difference cannot overflow.
        let vtable = usize::try_from(start as i64 - back).map_err(|_| outside(start))?;
        let vtable_len = usize::from(u16::from_le_bytes(array(file, vtable)?));
        Ok(Self { file, start, vtable, vtable_len })
    }

    /// Where a field lies, or `None` if it has its default value.
    fn field(&self, number: usize) -> Result<Option<usize>, ModelError> {
        let entry = 4 + 2 * number;
        if entry + 2 > self.vtable_len {
            return Ok(None);
        }
        let offset = u16::from_le_bytes(array(self.file, self.vtable + entry)?);
        Ok((offset != 0).then(|| self.start + usize::from(offset)))
    }

    /// A field of `N` bytes.
    fn scalar<const N: usize>(&self, number: usize) -> Result<Option<[u8; N]>, ModelError> {
        self.field(number)?.map(|position| array(self.file, position)).transpose()
    }

    /// A one-byte field: also enumerations and booleans.
    pub(super) fn i8(&self, number: usize, default: i8) -> Result<i8, ModelError> {
        Ok(self.scalar(number)?.map_or(default, i8::from_le_bytes))
    }

    /// A signed 32-bit field.
    pub(super) fn i32(&self, number: usize, default: i32) -> Result<i32, ModelError> {
        Ok(self.scalar(number)?.map_or(default, i32::from_le_bytes))
    }

    /// An unsigned 32-bit field.
    pub(super) fn u32(&self, number: usize, default: u32) -> Result<u32, ModelError> {
        Ok(self.scalar(number)?.map_or(default, u32::from_le_bytes))
    }

    /// A table, or a union's member whose type the caller knows.
    pub(super) fn table(&self, number: usize) -> Result<Option<Self>, ModelError> {
        self.field(number)?.map(|position| Self::behind(self.file, position)).transpose()
    }

    /// A vector of elements of `size` bytes, wholly inside the file. References have 4 bytes; so have 32-bit
    /// numbers.
    pub(super) fn vector(&self, number: usize, size: usize) -> Result<Option<Vector<'a>>, ModelError> {
        let Some(position) = self.field(number)? else {
            return Ok(None);
        };
        let head = follow(self.file, position)?;
        let len = u32::from_le_bytes(array(self.file, head)?) as usize;
        let start = head + 4;
        let end = len.checked_mul(size).and_then(|bytes| bytes.checked_add(start));
        end.filter(|end| *end <= self.file.len()).ok_or_else(|| outside(start))?;
        Ok(Some(Vector { file: self.file, start, len, size }))
    }
}

/// A vector of a file.
#[derive(Clone, Copy)]
pub(super) struct Vector<'a> {
    file: &'a [u8],
    start: usize,
    len: usize,
    size: usize,
}

impl<'a> Vector<'a> {
    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All elements as they lie in the file.
    pub(super) fn bytes(&self) -> &'a [u8] {
        &self.file[self.start..self.start + self.len * self.size]
    }

    /// A 32-bit number.
    pub(super) fn i32(&self, index: usize) -> Result<i32, ModelError> {
        Ok(i32::from_le_bytes(array(self.file, self.element(index)?)?))
    }

    /// A table.
    pub(super) fn table(&self, index: usize) -> Result<Table<'a>, ModelError> {
        Table::behind(self.file, self.element(index)?)
    }

    fn element(&self, index: usize) -> Result<usize, ModelError> {
        if index < self.len {
            Ok(self.start + index * self.size)
        } else {
            Err(ModelError::format(format!("no element {index} in a vector of {}", self.len)))
        }
    }
}

/// Where the reference at `position` leads.
fn follow(file: &[u8], position: usize) -> Result<usize, ModelError> {
    let distance = u32::from_le_bytes(array(file, position)?) as usize;
    position.checked_add(distance).ok_or_else(|| outside(position))
}

/// `N` bytes at a position.
fn array<const N: usize>(file: &[u8], position: usize) -> Result<[u8; N], ModelError> {
    let end = position.checked_add(N).ok_or_else(|| outside(position))?;
    let bytes = file.get(position..end).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| outside(position))
}

fn outside(position: usize) -> ModelError {
    ModelError::format(format!("truncated or corrupt: byte {position} leads outside the file"))
}
