//! Programs for WebAssembly; see the examples of this package.
