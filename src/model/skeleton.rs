//! How much of a model file is not weights, found without decoding it.
//!
//! Decoded, an empty message of two bytes takes a hundred; so a file full of them would take a hundred times its size.

use prost::bytes::Buf as _;
use prost::encoding::{WireType, decode_key, decode_varint};

/// Fields of ONNX's messages.
const GRAPH: u32 = 7;
const INITIALIZER: u32 = 5;
const RAW_DATA: u32 = 9;

/// Bytes of a file less the raw data of its graph's weights.
pub(super) fn bytes_without_weights(file: &[u8]) -> usize {
    let graphs = Fields(file).filter(|field| field.number == GRAPH);
    let tensors = graphs.flat_map(|graph| Fields(graph.content)).filter(|field| field.number == INITIALIZER);
    let weights = tensors.flat_map(|tensor| Fields(tensor.content)).filter(|field| field.number == RAW_DATA);
    file.len() - weights.map(|field| field.content.len()).sum::<usize>()
}

/// The fields of a message that have a length, up to the first that makes no sense.
struct Fields<'a>(&'a [u8]);

struct Field<'a> {
    number: u32,
    content: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let (number, kind) = decode_key(&mut self.0).ok()?;
            match kind {
                WireType::Varint => drop(decode_varint(&mut self.0).ok()?),
                WireType::SixtyFourBit if self.0.len() >= 8 => self.0.advance(8),
                WireType::ThirtyTwoBit if self.0.len() >= 4 => self.0.advance(4),
                WireType::LengthDelimited => {
                    let length = usize::try_from(decode_varint(&mut self.0).ok()?).ok()?;
                    let (content, rest) = self.0.split_at_checked(length)?;
                    self.0 = rest;
                    return Some(Field { number, content });
                }
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::model::BUNDLED_MODEL;
    use crate::model::onnx_proto::{Graph, Model, Node};

    #[test]
    fn of_the_bundled_model_nearly_all_is_weights() {
        let rest = bytes_without_weights(BUNDLED_MODEL);
        assert!((1000..100_000).contains(&rest), "{rest} bytes");
    }

    #[test]
    fn operators_without_end_and_what_is_no_model_hold_no_weights() {
        let graph = Graph { node: vec![Node::default(); 5000], ..Graph::default() };
        let model = Model { graph: Some(graph), ..Model::default() }.encode_to_vec();
        assert_eq!(bytes_without_weights(&model), model.len());
        for bytes in [&b""[..], b"no model", &[0xFF; 100], &[0x3A, 0xFF]] {
            assert_eq!(bytes_without_weights(bytes), bytes.len());
        }
    }
}
