// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";

/// @title The root of a block's transactions: the Merkle-Patricia trie of their EIP-2718 encodings, keyed by the RLP of their indices.
/// @dev Nobody chooses the keys, so that the trie is built from the sorted list at once: what lies between two positions and shares a prefix is one node.
library TransactionTrie {
    /// @dev keccak256 of the RLP of an empty string.
    bytes32 internal constant EMPTY = 0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421;

    uint256 private constant RADIX = 16;
    /// @dev A node shorter than this stands in its parent as it is, a longer one by its hash.
    uint256 private constant INLINE = 32;
    /// @dev Keys of one byte that precede the key 0x80 of index 0: those of the indices 1 to 127.
    uint256 private constant ONE_BYTE = 128;

    /// @notice The root over the values, in the order of their indices.
    function root(bytes[] calldata values) internal pure returns (bytes32) {
        if (values.length == 0) return EMPTY;
        return keccak256(_node(values, 0, values.length, 0));
    }

    /// @dev RLP of the node over the positions `start` to `end - 1` of the sorted keys, `depth` nibbles below the root.
    function _node(bytes[] calldata values, uint256 start, uint256 end, uint256 depth)
        private
        pure
        returns (bytes memory)
    {
        (uint256 key, uint256 nibbles) = _keyAt(values.length, start);
        if (end - start == 1) {
            return _pair(_path(key, nibbles, depth, nibbles, true), RLP.encode(values[_indexAt(values.length, start)]));
        }
        // Keys are sorted and none is another's beginning: what the first and the last share, all share.
        (uint256 lastKey, uint256 lastNibbles) = _keyAt(values.length, end - 1);
        uint256 split = depth;
        while (_nibble(key, nibbles, split) == _nibble(lastKey, lastNibbles, split)) ++split;
        if (split == depth) return _branch(values, start, end, depth);
        return _pair(_path(key, nibbles, depth, split, false), _reference(values, start, end, split));
    }

    function _pair(bytes memory path, bytes memory content) private pure returns (bytes memory) {
        bytes[] memory members = new bytes[](2);
        (members[0], members[1]) = (RLP.encode(path), content);
        return RLP.encode(members);
    }

    function _branch(bytes[] calldata values, uint256 start, uint256 end, uint256 depth)
        private
        pure
        returns (bytes memory)
    {
        bytes[] memory children = new bytes[](RADIX + 1);
        for (uint256 nibble; nibble < RADIX; ++nibble) {
            uint256 next = start;
            while (next < end) {
                (uint256 key, uint256 nibbles) = _keyAt(values.length, next);
                if (_nibble(key, nibbles, depth) != nibble) break;
                ++next;
            }
            children[nibble] = next == start ? bytes(hex"80") : _reference(values, start, next, depth + 1);
            start = next;
        }
        // No key ends at a branch.
        children[RADIX] = hex"80";
        return RLP.encode(children);
    }

    /// @dev What stands for a node in its parent.
    function _reference(bytes[] calldata values, uint256 start, uint256 end, uint256 depth)
        private
        pure
        returns (bytes memory)
    {
        uint256 free;
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        bytes memory node = _node(values, start, end, depth);
        // A short one keeps the memory that was used for it.
        if (node.length < INLINE) return node;
        bytes32 hash = keccak256(node);
        // What is only hashed needn't stay in memory, which gets dearer the more there is.
        assembly ("memory-safe") {
            mstore(0x40, free)
        }
        return bytes.concat(hex"a0", hash);
    }

    /// @dev Which index has the key at this position of the sorted keys: 1 to 127 come first, then 0, then the others.
    function _indexAt(uint256 count, uint256 position) private pure returns (uint256) {
        uint256 zero = (count < ONE_BYTE ? count : ONE_BYTE) - 1;
        if (position == zero) return 0;
        return position < zero ? position + 1 : position;
    }

    /// @dev RLP of the index, and its length in nibbles.
    function _keyAt(uint256 count, uint256 position) private pure returns (uint256 key, uint256 nibbles) {
        uint256 index = _indexAt(count, position);
        if (index == 0) return (0x80, 2);
        if (index < ONE_BYTE) return (index, 2);
        uint256 length = 1;
        while (index >> (8 * length) != 0) ++length;
        return (((0x80 + length) << (8 * length)) | index, 2 + 2 * length);
    }

    function _nibble(uint256 key, uint256 nibbles, uint256 position) private pure returns (uint256) {
        return (key >> (4 * (nibbles - 1 - position))) & 0xf;
    }

    /// @dev The nibbles from `start` to `end - 1` in hex prefix encoding.
    function _path(uint256 key, uint256 nibbles, uint256 start, uint256 end, bool isLeaf)
        private
        pure
        returns (bytes memory path)
    {
        uint256 length = end - start;
        path = new bytes(length / 2 + 1);
        uint256 flag = isLeaf ? 2 : 0;
        uint256 odd = length % 2;
        path[0] = bytes1(uint8(odd == 0 ? flag << 4 : ((flag + 1) << 4) | _nibble(key, nibbles, start)));
        for (uint256 i = 1; i < path.length; ++i) {
            uint256 next = start + odd + 2 * (i - 1);
            path[i] = bytes1(uint8((_nibble(key, nibbles, next) << 4) | _nibble(key, nibbles, next + 1)));
        }
    }
}
