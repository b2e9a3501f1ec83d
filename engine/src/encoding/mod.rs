//! Values as bytes, as snapshots and DUMP hold them.

mod codec;
mod value;

pub(crate) use codec::{Corrupt, Reader, put_bytes, put_number};
pub(crate) use value::{read as read_value, write as write_value};
