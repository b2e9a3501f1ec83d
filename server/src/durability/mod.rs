//! Keeping embedded databases on disk.

mod format;
