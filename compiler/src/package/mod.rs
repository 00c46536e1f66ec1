//! Programs that are too large for a plugin configuration: a module that has the program in it, and an image of the module.

mod image;
mod module;

pub use image::{Blob, Image};
pub use module::{add_program, packaged};
