//! Trains Antiphon's note model on folders of MIDI files and exports it as one ONNX file.
//!
//! No tensor framework: the network is small and fixed, and its backward pass is written out.
//!
//! # Layout
//! In the order of the data path:
//! - [`config`], [`error`]: flags, checked settings, what can go wrong
//! - [`dataset`], [`reading`], [`sessions`], [`augment`], [`streams`], [`batches`]: folders to files, to lessons (those
//!   read before from a cache), to pieces, to variants, to endless streams, to batches
//! - [`network`], [`weights`]: the parameters with their shapes and formulas; packed for products
//! - [`shard`], [`recurrent`], [`heads`]: forward and backward through the network
//! - [`matrix`], [`activation`], [`simd`], [`random`]: what they are computed with
//! - [`adam`], [`trainer`], [`checkpoint`], [`start`]: a step, going on later, going on from an exported model
//! - [`evaluate`], [`held_out`], [`export`], [`publish`], [`import`]: bits per note, the ONNX file, its check, and back
//! - [`train`], [`progress`]: a whole run, and what people see of it
//! - [`curve`], [`samples`], [`report`], [`picture`]: what is left to look at: loss curve, continuations, an HTML page
//! - [`commands`], [`tensors`]: to and from the PyTorch trainer, a model in half the bytes

pub mod activation;
pub mod adam;
pub mod augment;
pub mod batches;
pub mod checkpoint;
pub mod commands;
pub mod config;
pub mod curve;
pub mod dataset;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod heads;
pub mod held_out;
pub mod import;
pub mod matrix;
pub mod network;
pub mod picture;
pub mod progress;
pub mod publish;
pub mod random;
pub mod reading;
pub mod recurrent;
pub mod report;
pub mod samples;
pub mod sessions;
pub mod shard;
pub mod simd;
pub mod start;
pub mod streams;
pub mod tensors;
pub mod train;
pub mod trainer;
pub mod weights;
