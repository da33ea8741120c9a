//! The trie against alloy-trie, whole and in part.

use crate::error::TrieError;
use crate::trie::{key_path, NodeStream, Trie};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use alloy_primitives::{Bytes, B256, U256};
use alloy_trie::{HashBuilder, Nibbles};
use proptest::prelude::*;

type Model = BTreeMap<B256, U256>;

/// Keys that share prefixes and suffixes, so that extensions, collapses and embedded nodes occur.
fn key() -> impl Strategy<Value = B256> {
    prop_oneof![
        4 => (0u8..4, 0u8..4, 0u8..3).prop_map(|(a, b, c)| {
            let mut key = B256::repeat_byte(0x11);
            key.0[0] = a * 0x10;
            key.0[1] = b;
            key.0[31] = c;
            key
        }),
        2 => (0u8..4, 0u8..3).prop_map(|(position, value)| {
            let mut key = B256::ZERO;
            key.0[31 - usize::from(position)] = value;
            key
        }),
        1 => any::<[u8; 32]>().prop_map(B256::from),
    ]
}

/// Small values are embedded in their parents; zero deletes.
fn value() -> impl Strategy<Value = U256> {
    prop_oneof![
        2 => Just(U256::ZERO),
        2 => (1u64..200).prop_map(U256::from),
        1 => any::<[u8; 32]>().prop_map(U256::from_be_bytes::<32>),
    ]
}

fn write(trie: &mut Trie<U256>, key: &B256, value: U256, siblings: &mut Vec<Vec<u8>>) -> Result<(), TrieError> {
    if value.is_zero() {
        trie.delete(key, &mut |path| siblings.push(path))
    } else {
        trie.insert(key, value)
    }
}

fn write_model(model: &mut Model, key: B256, value: U256) {
    if value.is_zero() {
        model.remove(&key);
    } else {
        model.insert(key, value);
    }
}

fn expected_root(model: &Model) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in model {
        builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
    }
    builder.root()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn roots_and_values_are_alloys(steps in prop::collection::vec((key(), value(), any::<bool>()), 1..60)) {
        let (mut trie, mut model) = (Trie::default(), Model::new());
        let mut versions = Vec::new();
        for (key, value, is_hashed) in steps {
            write(&mut trie, &key, value, &mut Vec::new()).unwrap();
            write_model(&mut model, key, value);
            prop_assert_eq!(trie.get(&key).unwrap().copied(), model.get(&key).copied());
            if is_hashed {
                prop_assert_eq!(trie.hash(), expected_root(&model));
                prop_assert_eq!(trie.root(), expected_root(&model));
                versions.push((trie.clone(), model.clone()));
            }
        }
        prop_assert_eq!(trie.root(), expected_root(&model));
        // Earlier versions are as they were.
        for (mut trie, model) in versions {
            let entries: Vec<_> = trie.entries().unwrap().into_iter().map(|(key, value)| (key, *value)).collect();
            prop_assert_eq!(entries, model.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(trie.root(), expected_root(&model));
        }
    }

    #[test]
    fn a_recorded_part_of_a_trie_is_enough(
        base in prop::collection::vec((key(), value()), 0..60),
        reads in prop::collection::vec(key(), 0..5),
        writes in prop::collection::vec((key(), value()), 0..12),
    ) {
        let mut model = Model::new();
        let mut parent = Trie::default();
        for (key, value) in base {
            write_model(&mut model, key, value);
            write(&mut parent, &key, value, &mut Vec::new()).unwrap();
        }
        let root = parent.root();
        let mut paths = Vec::new();
        let mut full = parent.clone();
        for key in reads.iter().chain(writes.iter().map(|(key, _)| key)) {
            paths.push(key_path(key));
        }
        for (key, value) in &writes {
            write(&mut full, key, *value, &mut paths).unwrap();
            write_model(&mut model, *key, *value);
        }
        paths.sort_unstable();
        let mut nodes: Vec<Bytes> = Vec::new();
        parent.collect(&paths, &mut nodes, &mut |_, _, _| Ok(())).unwrap();

        let mut stream = NodeStream::new(&nodes);
        let mut part = Trie::<U256>::from_stream(root, &mut stream).unwrap();
        prop_assert_eq!(stream.unused(), None);
        prop_assert_eq!(part.root(), root);
        for key in &reads {
            prop_assert_eq!(part.get(key).unwrap(), parent.get(key).unwrap());
        }
        for (key, value) in &writes {
            write(&mut part, key, *value, &mut Vec::new()).unwrap();
        }
        prop_assert_eq!(part.root(), full.root());
        prop_assert_eq!(part.root(), expected_root(&model));
    }

    #[test]
    fn what_is_missing_changes_nothing(
        base in prop::collection::btree_map(key(), (1u64..50).prop_map(U256::from), 3..60),
        known in prop::collection::vec(key(), 0..3),
        writes in prop::collection::vec((key(), value()), 1..12),
    ) {
        let mut parent = Trie::default();
        for (key, value) in &base {
            parent.insert(key, *value).unwrap();
        }
        let root = parent.root();
        let mut paths: Vec<_> = known.iter().map(key_path).collect();
        paths.sort_unstable();
        let mut nodes: Vec<Bytes> = Vec::new();
        parent.collect(&paths, &mut nodes, &mut |_, _, _| Ok(())).unwrap();
        let mut part = Trie::<U256>::from_stream(root, &mut NodeStream::new(&nodes)).unwrap();
        let mut full = parent.clone();
        for (key, value) in writes {
            let before = part.root();
            match write(&mut part, &key, value, &mut Vec::new()) {
                Ok(()) => write(&mut full, &key, value, &mut Vec::new()).unwrap(),
                Err(TrieError::Missing { path, .. }) => {
                    prop_assert!(path.len() <= 64);
                    prop_assert_eq!(part.hash(), before);
                }
                Err(error) => prop_assert!(false, "{}", error),
            }
            prop_assert_eq!(part.root(), full.root());
        }
    }

    #[test]
    fn proofs_are_alloys(
        base in prop::collection::btree_map(key(), (1u64..5000).prop_map(U256::from), 1..60),
        target in key(),
    ) {
        let mut trie = Trie::default();
        for (key, value) in &base {
            trie.insert(key, *value).unwrap();
        }
        let root = trie.root();
        let proof = trie.proof(&target).unwrap();
        let expected = base.get(&target).map(alloy_rlp::encode);
        prop_assert!(alloy_trie::proof::verify_proof(root, Nibbles::unpack(target), expected, &proof).is_ok());
    }

    #[test]
    fn arbitrary_nodes_are_refused_not_fatal(
        base in prop::collection::btree_map(key(), (1u64..50).prop_map(U256::from), 1..40),
        which in any::<prop::sample::Index>(),
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut trie = Trie::default();
        for (key, value) in &base {
            trie.insert(key, *value).unwrap();
        }
        let root = trie.root();
        let paths: Vec<_> = base.keys().map(key_path).collect();
        let mut nodes: Vec<Bytes> = Vec::new();
        trie.collect(&paths, &mut nodes, &mut |_, _, _| Ok(())).unwrap();
        // A node that is not what its parent refers to.
        let index = which.index(nodes.len());
        let mut node = nodes[index].to_vec();
        let at = position.index(node.len());
        node[at] ^= byte | 1;
        nodes[index] = node.clone().into();
        prop_assert!(Trie::<U256>::from_stream(root, &mut NodeStream::new(&nodes)).is_err());
        // The same as a root with its own hash: read or refused, and what is read has the hash.
        let root = alloy_primitives::keccak256(&node);
        let mut alone = alloc::vec![Bytes::from(node)];
        alone.resize(17, Bytes::new());
        if let Ok(mut trie) = Trie::<U256>::from_stream(root, &mut NodeStream::new(&alone)) {
            prop_assert_eq!(trie.clone().root(), root);
            let _ = trie.insert(&B256::ZERO, U256::from(1));
            let _ = trie.delete(&B256::repeat_byte(0x11), &mut |_| {});
            trie.root();
        }
    }
}

/// A branch with one child, an extension to a leaf, a path with a wrong flag: hashes must not have two encodings.
#[test]
fn non_canonical_nodes_are_refused() {
    let refused = |node: Vec<u8>| {
        let root = alloy_primitives::keccak256(&node);
        let nodes = [Bytes::from(node), Bytes::new(), Bytes::new()];
        assert!(matches!(Trie::<U256>::from_stream(root, &mut NodeStream::new(&nodes)), Err(TrieError::Malformed)));
    };
    let hash = [&[0xa0u8][..], &[7; 32]].concat();
    let branch_of_one = [&[0xf1u8][..], &hash, &[0x80; 16]].concat();
    refused(branch_of_one);
    let branch_with_value = [&[0xf8u8, 0x51][..], &hash, &hash, &[0x80; 14], &[0x01]].concat();
    refused(branch_with_value);
    let extension_without_path = [&[0xe2u8, 0x00][..], &hash].concat();
    refused(extension_without_path);
    let path_with_unknown_flag = [&[0xe2u8, 0x40][..], &hash].concat();
    refused(path_with_unknown_flag);
    let path_with_padding = [&[0xe2u8, 0x01][..], &hash].concat();
    refused(path_with_padding);
    let leaf_with_short_path = alloc::vec![0xc2, 0x20, 0x05];
    refused(leaf_with_short_path);
    let leaf_with_zero = [&[0xe3u8, 0xa1, 0x20][..], &[0; 32], &[0x80]].concat();
    refused(leaf_with_zero);
    let leaf_with_padded_value = [&[0xe5u8, 0xa1, 0x20][..], &[0; 32], &[0x82, 0x00, 0x05]].concat();
    refused(leaf_with_padded_value);
    let trailing = [&[0xe3u8, 0xa1, 0x20][..], &[0; 32], &[0x05, 0x00]].concat();
    refused(trailing);
}
