//! A persistent Merkle-Patricia trie with keys of 32 bytes.
//!
//! Nodes are shared between versions through `Arc` and copied when they are changed. A subtree may be known by its
//! hash only ([`Node::Digest`]): what needs it fails with [`TrieError::Missing`], all else works. A leaf keeps its
//! whole key, so that it can move up and down without being rewritten.
//!
//! Encodings are those of the yellow paper, appendix D. Recursion is bounded by the 64 nibbles of a key.

use crate::constants::EMPTY_ROOT;
use crate::error::TrieError;
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloy_primitives::{keccak256, Bytes, B256};
use alloy_rlp::{Encodable, Header as RlpHeader, EMPTY_STRING_CODE};

/// Number of nibbles in a key.
const KEY_NIBBLES: usize = 64;

/// RLP prefix of a node's hash.
const HASH_CODE: u8 = EMPTY_STRING_CODE + 32;

/// A value that a trie with a root can have.
pub trait Value: Clone {
    /// Caches hashes inside the value.
    fn seal(&mut self);
    /// Appends the encoding.
    fn encode_value(&self, out: &mut Vec<u8>);
    /// Reads the canonical encoding. Subtrees that the value refers to are taken from `nodes`.
    fn decode_value(encoded: &[u8], nodes: &mut NodeStream<'_>) -> Result<Self, TrieError>;
}

/// The nodes of a partial trie: for each reference by hash that a depth-first walk meets, the node's RLP, or nothing
/// if the node is left out.
pub struct NodeStream<'a> {
    nodes: &'a [Bytes],
    position: usize,
}

impl<'a> NodeStream<'a> {
    pub fn new(nodes: &'a [Bytes]) -> Self {
        Self { nodes, position: 0 }
    }

    /// Index of the first node that was not taken, if there is one.
    pub fn unused(&self) -> Option<usize> {
        (self.position < self.nodes.len()).then_some(self.position)
    }

    fn take(&mut self, hash: &B256) -> Result<Option<&'a [u8]>, TrieError> {
        let node = self.nodes.get(self.position).ok_or(TrieError::Malformed)?;
        self.position += 1;
        if node.is_empty() {
            Ok(None)
        } else if keccak256(node) == *hash {
            Ok(Some(node))
        } else {
            Err(TrieError::Malformed)
        }
    }
}

/// A persistent trie. Cloning takes constant time.
#[derive(Clone, Debug)]
pub struct Trie<V> {
    root: Option<Arc<Node<V>>>,
}

#[derive(Clone, Debug)]
enum Node<V> {
    Leaf {
        hash: Option<B256>,
        key: B256,
        value: V,
    },
    /// The child is a branch.
    Extension {
        hash: Option<B256>,
        path: Vec<u8>,
        child: Arc<Node<V>>,
    },
    /// At least two children.
    Branch {
        hash: Option<B256>,
        children: Children<V>,
    },
    /// A subtree of which only the hash is known.
    Digest(B256),
}

/// Appends what a leaf's value refers to.
pub type LeafVisitor<'a, V> = &'a mut dyn FnMut(&B256, &V, &mut Vec<Bytes>) -> Result<(), TrieError>;

type Children<V> = [Option<Arc<Node<V>>>; 16];

fn no_children<V>() -> Children<V> {
    [const { None }; 16]
}

/// The nibble of a key at a position below 64.
fn nibble(key: &B256, position: usize) -> u8 {
    let byte = key.0[position / 2];
    if position.is_multiple_of(2) {
        byte >> 4
    } else {
        byte & 0x0f
    }
}

/// The nibbles of a key from `start` to before `end`.
fn nibbles(key: &B256, start: usize, end: usize) -> Vec<u8> {
    (start..end).map(|position| nibble(key, position)).collect()
}

/// The nibbles of a whole key.
pub fn key_path(key: &B256) -> Vec<u8> {
    nibbles(key, 0, KEY_NIBBLES)
}

fn set_nibble(key: &mut B256, position: usize, value: u8) {
    let byte = &mut key.0[position / 2];
    *byte = if position.is_multiple_of(2) { (*byte & 0x0f) | (value << 4) } else { (*byte & 0xf0) | value };
}

fn missing(hash: B256, path: Vec<u8>) -> TrieError {
    TrieError::Missing { hash, path }
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V> Trie<V> {
    /// The value at `key`.
    pub fn get(&self, key: &B256) -> Result<Option<&V>, TrieError> {
        let Some(mut node) = self.root.as_deref() else {
            return Ok(None);
        };
        let mut depth = 0;
        loop {
            match node {
                Node::Leaf { key: leaf_key, value, .. } => return Ok((leaf_key == key).then_some(value)),
                Node::Extension { path, child, .. } => {
                    if path.iter().enumerate().any(|(i, step)| *step != nibble(key, depth + i)) {
                        return Ok(None);
                    }
                    depth += path.len();
                    node = child;
                }
                Node::Branch { children, .. } => match &children[nibble(key, depth) as usize] {
                    None => return Ok(None),
                    Some(child) => {
                        depth += 1;
                        node = child;
                    }
                },
                Node::Digest(hash) => return Err(missing(*hash, nibbles(key, 0, depth))),
            }
        }
    }

    /// All keys and values in ascending order of keys.
    pub fn entries(&self) -> Result<Vec<(B256, &V)>, TrieError> {
        let mut out = Vec::new();
        if let Some(root) = &self.root {
            root.collect_entries(&mut Vec::new(), &mut out)?;
        }
        Ok(out)
    }
}

impl<V: Clone> Trie<V> {
    /// Sets the value at `key`. On an error the trie is as before.
    pub fn insert(&mut self, key: &B256, value: V) -> Result<(), TrieError> {
        match &mut self.root {
            None => {
                self.root = Some(Arc::new(Node::Leaf { hash: None, key: *key, value }));
                Ok(())
            }
            Some(root) => insert_at(root, 0, key, value),
        }
    }

    /// Removes the value at `key`, if there is one. On an error the trie is as before. When a branch is left with one
    /// child, that child is merged with it and must be known: `collapsed` is told its path.
    pub fn delete(&mut self, key: &B256, collapsed: &mut dyn FnMut(Vec<u8>)) -> Result<(), TrieError> {
        let Some(root) = &mut self.root else {
            return Ok(());
        };
        match &**root {
            Node::Leaf { key: leaf_key, .. } => {
                if leaf_key == key {
                    self.root = None;
                }
                Ok(())
            }
            _ => delete_at(root, 0, key, collapsed).map(|_| ()),
        }
    }
}

impl<V: Value> Trie<V> {
    /// The part of the trie with this root that `nodes` shows.
    pub fn from_stream(root: B256, nodes: &mut NodeStream<'_>) -> Result<Self, TrieError> {
        if root == EMPTY_ROOT {
            return Ok(Self::default());
        }
        let node = match nodes.take(&root)? {
            None => Node::Digest(root),
            Some(encoded) => {
                let mut node = Node::decode(encoded, 0, &mut B256::default(), nodes)?;
                node.set_hash(Some(root));
                node
            }
        };
        Ok(Self { root: Some(Arc::new(node)) })
    }

    /// The root hash. Hashes what changed since the last call, and remembers it.
    pub fn root(&mut self) -> B256 {
        match &mut self.root {
            None => EMPTY_ROOT,
            Some(root) => {
                seal(root, 0);
                root.hash().unwrap_or_else(|| {
                    // Only a root can be hashed though its encoding is short.
                    let hash = keccak256(root.encode(0));
                    Arc::make_mut(root).set_hash(Some(hash));
                    hash
                })
            }
        }
    }

    /// The root hash, without remembering what was hashed.
    pub fn hash(&self) -> B256 {
        match self.root.as_deref() {
            None => EMPTY_ROOT,
            Some(root) => root.hash().unwrap_or_else(|| keccak256(root.encode(0))),
        }
    }

    /// RLP of the nodes from the root towards `key`; those that are embedded in their parents are left out.
    pub fn proof(&self, key: &B256) -> Result<Vec<Bytes>, TrieError> {
        let mut out = Vec::new();
        let Some(mut node) = self.root.as_deref() else {
            return Ok(out);
        };
        let mut depth = 0;
        loop {
            if let Node::Digest(hash) = node {
                return Err(missing(*hash, nibbles(key, 0, depth)));
            }
            let encoded = node.encode(depth);
            if encoded.len() >= 32 || depth == 0 {
                out.push(encoded.into());
            }
            match node {
                Node::Extension { path, child, .. } => {
                    if path.iter().enumerate().any(|(i, step)| *step != nibble(key, depth + i)) {
                        return Ok(out);
                    }
                    depth += path.len();
                    node = child;
                }
                Node::Branch { children, .. } => match &children[nibble(key, depth) as usize] {
                    None => return Ok(out),
                    Some(child) => {
                        depth += 1;
                        node = child;
                    }
                },
                Node::Leaf { .. } | Node::Digest(_) => return Ok(out),
            }
        }
    }

    /// Appends what [`NodeStream`] reads: the nodes on the way to each of `paths` (sorted, in nibbles; a path shorter
    /// than a key is that of a node), and nothing for the others. `visit` appends what a leaf's value refers to.
    pub fn collect(&self, paths: &[Vec<u8>], out: &mut Vec<Bytes>, visit: LeafVisitor<'_, V>) -> Result<(), TrieError> {
        match self.root.as_deref() {
            None => Ok(()),
            Some(root) => root.collect(0, true, paths, out, visit),
        }
    }
}

impl<V> Node<V> {
    fn hash(&self) -> Option<B256> {
        match self {
            Self::Leaf { hash, .. } | Self::Extension { hash, .. } | Self::Branch { hash, .. } => *hash,
            Self::Digest(hash) => Some(*hash),
        }
    }

    fn set_hash(&mut self, new: Option<B256>) {
        match self {
            Self::Leaf { hash, .. } | Self::Extension { hash, .. } | Self::Branch { hash, .. } => *hash = new,
            Self::Digest(_) => {}
        }
    }

    fn collect_entries<'a>(&'a self, position: &mut Vec<u8>, out: &mut Vec<(B256, &'a V)>) -> Result<(), TrieError> {
        match self {
            Self::Leaf { key, value, .. } => out.push((*key, value)),
            Self::Extension { path, child, .. } => {
                let length = position.len();
                position.extend_from_slice(path);
                child.collect_entries(position, out)?;
                position.truncate(length);
            }
            Self::Branch { children, .. } => {
                for (step, child) in (0u8..).zip(children) {
                    if let Some(child) = child {
                        position.push(step);
                        child.collect_entries(position, out)?;
                        position.pop();
                    }
                }
            }
            Self::Digest(hash) => return Err(missing(*hash, position.clone())),
        }
        Ok(())
    }
}

/// A branch or, if the keys below it share more nibbles, an extension to it.
fn branch_at<V>(path: Vec<u8>, children: Children<V>) -> Node<V> {
    let branch = Node::Branch { hash: None, children };
    if path.is_empty() {
        branch
    } else {
        Node::Extension { hash: None, path, child: Arc::new(branch) }
    }
}

fn insert_at<V: Clone>(node: &mut Arc<Node<V>>, depth: usize, key: &B256, new: V) -> Result<(), TrieError> {
    let replacement = match Arc::make_mut(node) {
        Node::Digest(hash) => return Err(missing(*hash, nibbles(key, 0, depth))),
        Node::Leaf { hash, key: leaf_key, value } => {
            if leaf_key == key {
                *value = new;
                *hash = None;
                return Ok(());
            }
            // Keys differ, and agree before `depth`.
            let mut fork = depth;
            while nibble(leaf_key, fork) == nibble(key, fork) {
                fork += 1;
            }
            let mut children = no_children();
            let old = Node::Leaf { hash: None, key: *leaf_key, value: value.clone() };
            children[nibble(leaf_key, fork) as usize] = Some(Arc::new(old));
            children[nibble(key, fork) as usize] = Some(Arc::new(Node::Leaf { hash: None, key: *key, value: new }));
            branch_at(nibbles(key, depth, fork), children)
        }
        Node::Extension { hash, path, child } => {
            let common = path.iter().enumerate().take_while(|(i, step)| **step == nibble(key, depth + i)).count();
            if common == path.len() {
                insert_at(child, depth + common, key, new)?;
                *hash = None;
                return Ok(());
            }
            let mut children = no_children();
            let rest = path[common + 1..].to_vec();
            children[path[common] as usize] = Some(if rest.is_empty() {
                child.clone()
            } else {
                Arc::new(Node::Extension { hash: None, path: rest, child: child.clone() })
            });
            children[nibble(key, depth + common) as usize] =
                Some(Arc::new(Node::Leaf { hash: None, key: *key, value: new }));
            branch_at(path[..common].to_vec(), children)
        }
        Node::Branch { hash, children } => {
            match &mut children[nibble(key, depth) as usize] {
                Some(child) => insert_at(child, depth + 1, key, new)?,
                empty => *empty = Some(Arc::new(Node::Leaf { hash: None, key: *key, value: new })),
            }
            *hash = None;
            return Ok(());
        }
    };
    *node = Arc::new(replacement);
    Ok(())
}

/// Deletes below an extension or branch; tells whether there was something to delete. Nothing is changed before it is
/// certain that all nodes that are needed are known.
fn delete_at<V: Clone>(
    node: &mut Arc<Node<V>>,
    depth: usize,
    key: &B256,
    collapsed: &mut dyn FnMut(Vec<u8>),
) -> Result<bool, TrieError> {
    let replacement = match Arc::make_mut(node) {
        Node::Digest(hash) => return Err(missing(*hash, nibbles(key, 0, depth))),
        // Its parent, or the trie, deals with a leaf.
        Node::Leaf { .. } => return Ok(false),
        Node::Extension { hash, path, child } => {
            if path.iter().enumerate().any(|(i, step)| *step != nibble(key, depth + i)) {
                return Ok(false);
            }
            if !delete_at(child, depth + path.len(), key, collapsed)? {
                return Ok(false);
            }
            match &**child {
                // Still the branch.
                Node::Branch { .. } | Node::Digest(_) => {
                    *hash = None;
                    return Ok(true);
                }
                below => prepend(path, below),
            }
        }
        Node::Branch { hash, children } => {
            let step = nibble(key, depth) as usize;
            let Some(child) = &mut children[step] else {
                return Ok(false);
            };
            let leaf_key = match &**child {
                Node::Leaf { key: leaf_key, .. } => Some(*leaf_key),
                _ => None,
            };
            match leaf_key {
                None => {
                    if !delete_at(child, depth + 1, key, collapsed)? {
                        return Ok(false);
                    }
                    *hash = None;
                    return Ok(true);
                }
                Some(leaf_key) if leaf_key != *key => return Ok(false),
                Some(_) => {}
            }
            let mut others = (0u8..).zip(children.iter()).filter_map(|(other, child)| match child {
                Some(child) if other as usize != step => Some((other, child)),
                _ => None,
            });
            match (others.next(), others.next()) {
                (Some((other, sibling)), None) => {
                    let mut path = nibbles(key, 0, depth);
                    path.push(other);
                    if let Node::Digest(hash) = &**sibling {
                        return Err(missing(*hash, path));
                    }
                    collapsed(path);
                    match &**sibling {
                        Node::Branch { .. } | Node::Digest(_) => {
                            Node::Extension { hash: None, path: alloc::vec![other], child: sibling.clone() }
                        }
                        below => prepend(&[other], below),
                    }
                }
                _ => {
                    children[step] = None;
                    *hash = None;
                    return Ok(true);
                }
            }
        }
    };
    *node = Arc::new(replacement);
    Ok(true)
}

/// A leaf or extension after it moved up by `path`.
fn prepend<V: Clone>(path: &[u8], node: &Node<V>) -> Node<V> {
    let mut moved = node.clone();
    moved.set_hash(None);
    if let Node::Extension { path: rest, .. } = &mut moved {
        let mut whole = path.to_vec();
        whole.extend_from_slice(rest);
        *rest = whole;
    }
    moved
}

/// Caches the hashes of all nodes that have one.
fn seal<V: Value>(node: &mut Arc<Node<V>>, depth: usize) {
    if node.hash().is_some() {
        return;
    }
    let node = Arc::make_mut(node);
    match node {
        Node::Leaf { value, .. } => value.seal(),
        Node::Extension { path, child, .. } => seal(child, depth + path.len()),
        Node::Branch { children, .. } => children.iter_mut().flatten().for_each(|child| seal(child, depth + 1)),
        Node::Digest(_) => {}
    }
    let encoded = node.encode(depth);
    if encoded.len() >= 32 {
        node.set_hash(Some(keccak256(encoded)));
    }
}

impl<V: Value> Node<V> {
    /// RLP of a node whose key prefix has `depth` nibbles.
    fn encode(&self, depth: usize) -> Vec<u8> {
        let mut payload = Vec::with_capacity(544);
        match self {
            Self::Leaf { key, value, .. } => {
                encode_path(nibbles(key, depth, KEY_NIBBLES).as_slice(), true, &mut payload);
                let mut encoded = Vec::with_capacity(128);
                value.encode_value(&mut encoded);
                encoded.as_slice().encode(&mut payload);
            }
            Self::Extension { path, child, .. } => {
                encode_path(path, false, &mut payload);
                child.encode_reference(depth + path.len(), &mut payload);
            }
            Self::Branch { children, .. } => {
                for child in children {
                    match child {
                        None => payload.push(EMPTY_STRING_CODE),
                        Some(child) => child.encode_reference(depth + 1, &mut payload),
                    }
                }
                payload.push(EMPTY_STRING_CODE);
            }
            // Has no encoding of its own; parents refer to it by hash.
            Self::Digest(_) => {}
        }
        let mut out = Vec::with_capacity(payload.len() + 3);
        RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
        out.extend_from_slice(&payload);
        out
    }

    /// Appends what the parent holds of a node: its hash, or its encoding if that is shorter than a hash.
    fn encode_reference(&self, depth: usize, out: &mut Vec<u8>) {
        let hash = match self.hash() {
            Some(hash) => hash,
            None => {
                let encoded = self.encode(depth);
                if encoded.len() < 32 {
                    out.extend_from_slice(&encoded);
                    return;
                }
                keccak256(encoded)
            }
        };
        out.push(HASH_CODE);
        out.extend_from_slice(hash.as_slice());
    }

    /// Reads the canonical encoding of a node whose key prefix is the first `depth` nibbles of `prefix`.
    fn decode(encoded: &[u8], depth: usize, prefix: &mut B256, nodes: &mut NodeStream<'_>) -> Result<Self, TrieError> {
        let malformed = |_| TrieError::Malformed;
        let mut rest = encoded;
        let mut payload = RlpHeader::decode_bytes(&mut rest, true).map_err(malformed)?;
        if !rest.is_empty() {
            return Err(TrieError::Malformed);
        }
        let mut items: [&[u8]; 17] = [&[]; 17];
        let mut count = 0;
        while !payload.is_empty() {
            let item = items.get_mut(count).ok_or(TrieError::Malformed)?;
            let start = payload;
            let header = RlpHeader::decode(&mut payload).map_err(malformed)?;
            payload = payload.get(header.payload_length..).ok_or(TrieError::Malformed)?;
            *item = &start[..start.len() - payload.len()];
            count += 1;
        }
        match count {
            2 => {
                let (path, is_leaf) = decode_path(items[0])?;
                if path.len() > KEY_NIBBLES - depth {
                    return Err(TrieError::Malformed);
                }
                for (i, step) in path.iter().enumerate() {
                    set_nibble(prefix, depth + i, *step);
                }
                if is_leaf {
                    if depth + path.len() != KEY_NIBBLES {
                        return Err(TrieError::Malformed);
                    }
                    let mut item = items[1];
                    let value = RlpHeader::decode_bytes(&mut item, false).map_err(malformed)?;
                    return Ok(Self::Leaf { hash: None, key: *prefix, value: V::decode_value(value, nodes)? });
                }
                if path.is_empty() || depth + path.len() == KEY_NIBBLES {
                    return Err(TrieError::Malformed);
                }
                let child = Self::decode_reference(items[1], depth + path.len(), prefix, nodes)?;
                match &child {
                    Some(child) if matches!(**child, Self::Branch { .. } | Self::Digest(_)) => {
                        Ok(Self::Extension { hash: None, path, child: child.clone() })
                    }
                    _ => Err(TrieError::Malformed),
                }
            }
            17 if items[16] == [EMPTY_STRING_CODE] && depth < KEY_NIBBLES => {
                let mut children = no_children();
                for ((step, item), child) in (0u8..).zip(items).zip(children.iter_mut()) {
                    set_nibble(prefix, depth, step);
                    *child = Self::decode_reference(item, depth + 1, prefix, nodes)?;
                }
                if children.iter().flatten().count() < 2 {
                    return Err(TrieError::Malformed);
                }
                Ok(Self::Branch { hash: None, children })
            }
            _ => Err(TrieError::Malformed),
        }
    }

    fn decode_reference(
        item: &[u8],
        depth: usize,
        prefix: &mut B256,
        nodes: &mut NodeStream<'_>,
    ) -> Result<Option<Arc<Self>>, TrieError> {
        match item {
            [EMPTY_STRING_CODE] => Ok(None),
            [HASH_CODE, hash @ ..] => {
                let hash = B256::try_from(hash).map_err(|_| TrieError::Malformed)?;
                let node = match nodes.take(&hash)? {
                    None => Self::Digest(hash),
                    Some(encoded) if encoded.len() < 32 => return Err(TrieError::Malformed),
                    Some(encoded) => {
                        let mut node = Self::decode(encoded, depth, prefix, nodes)?;
                        node.set_hash(Some(hash));
                        node
                    }
                };
                Ok(Some(Arc::new(node)))
            }
            [0xc0..=0xff, ..] if item.len() < 32 => Ok(Some(Arc::new(Self::decode(item, depth, prefix, nodes)?))),
            _ => Err(TrieError::Malformed),
        }
    }

    fn collect(
        &self,
        depth: usize,
        is_root: bool,
        paths: &[Vec<u8>],
        out: &mut Vec<Bytes>,
        visit: LeafVisitor<'_, V>,
    ) -> Result<(), TrieError> {
        let encoded = match self {
            Self::Digest(hash) if !paths.is_empty() => {
                return Err(missing(*hash, paths[0].get(..depth).unwrap_or_default().to_vec()));
            }
            Self::Digest(_) => None,
            _ => Some(self.encode(depth)),
        };
        let is_embedded = !is_root && encoded.as_ref().is_some_and(|encoded| encoded.len() < 32);
        if paths.is_empty() && !is_embedded {
            out.push(Bytes::new());
            return Ok(());
        }
        if let (Some(encoded), false) = (encoded, is_embedded) {
            out.push(encoded.into());
        }
        match self {
            Self::Leaf { key, value, .. } => visit(key, value, out),
            Self::Extension { path, child, .. } => {
                let below = depth + path.len();
                let start = paths.partition_point(|other| other.get(depth..).unwrap_or_default() < path.as_slice());
                let end =
                    start + paths[start..].iter().take_while(|other| other.get(depth..below) == Some(path)).count();
                child.collect(below, false, &paths[start..end], out, visit)
            }
            Self::Branch { children, .. } => {
                let mut rest = paths;
                // The paths that end here.
                rest = &rest[rest.iter().take_while(|path| path.len() <= depth).count()..];
                for (step, child) in (0u8..).zip(children) {
                    let count = rest.iter().take_while(|path| path[depth] == step).count();
                    let (below, after) = rest.split_at(count);
                    rest = after;
                    if let Some(child) = child {
                        child.collect(depth + 1, false, below, out, visit)?;
                    }
                }
                Ok(())
            }
            Self::Digest(_) => Ok(()),
        }
    }
}

/// Appends the hex-prefix encoding of a path (yellow paper, appendix C) as an RLP string.
fn encode_path(path: &[u8], is_leaf: bool, out: &mut Vec<u8>) {
    let flag = if is_leaf { 0x20 } else { 0x00 };
    let (first, pairs) = match path.len() % 2 {
        0 => (flag, path),
        _ => (flag | 0x10 | path[0], &path[1..]),
    };
    let mut encoded = Vec::with_capacity(33);
    encoded.push(first);
    encoded.extend(pairs.chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1]));
    encoded.as_slice().encode(out);
}

/// The path in an RLP string, and whether it is a leaf's.
fn decode_path(item: &[u8]) -> Result<(Vec<u8>, bool), TrieError> {
    let mut rest = item;
    let encoded = RlpHeader::decode_bytes(&mut rest, false).map_err(|_| TrieError::Malformed)?;
    let (first, pairs) = encoded.split_first().ok_or(TrieError::Malformed)?;
    let mut path = Vec::with_capacity(2 * encoded.len());
    match first >> 4 {
        0 | 2 if first & 0x0f == 0 => {}
        1 | 3 => path.push(first & 0x0f),
        _ => return Err(TrieError::Malformed),
    }
    path.extend(pairs.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]));
    Ok((path, first >> 4 >= 2))
}
