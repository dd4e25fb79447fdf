//! `.mid` files to notes and back.
