// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";
import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {TrieProof} from "@openzeppelin/contracts/utils/cryptography/TrieProof.sol";

/// @title What L1 can know of its own blocks.
library L1History {
    error UnknownBlockHash(uint256 number);
    error WrongL1Header(uint256 number);

    /// @dev EIP-2935's ring: a day and three hours.
    uint256 private constant LENGTH = 8191;
    /// @dev Members of an account's list: nonce, balance, storage root, hash of the code.
    uint256 private constant STORAGE_ROOT = 2;

    /// @notice PREVRANDAO of the block with this hash.
    function prevRandaoOf(bytes calldata header, uint256 number, bytes32 hash) internal pure returns (bytes32) {
        return BlockHeader.getPrevRandao(_parse(header, number, hash));
    }

    /// @notice The hash of block `number` by what the history held after the block `later`, whose hash is known.
    function hashBefore(
        uint256 number,
        bytes calldata laterHeader,
        uint256 later,
        bytes32 laterHash,
        bytes[] calldata accountProof,
        bytes[] calldata storageProof
    ) internal pure returns (bytes32) {
        if (number >= later || later - number > LENGTH) revert UnknownBlockHash(number);
        bytes32 stateRoot = BlockHeader.getStateRoot(_parse(laterHeader, later, laterHash));
        bytes memory account = TrieProof.traverse(
            stateRoot, abi.encodePacked(keccak256(abi.encodePacked(Blockhash.HISTORY_STORAGE_ADDRESS))), accountProof
        );
        bytes32 storageRoot = RLP.readBytes32(RLP.decodeList(account)[STORAGE_ROOT]);
        bytes32 slot = keccak256(abi.encode(number % LENGTH));
        return RLP.decodeBytes32(TrieProof.traverse(storageRoot, abi.encodePacked(slot), storageProof));
    }

    function _parse(bytes calldata header, uint256 number, bytes32 hash)
        private
        pure
        returns (Memory.Slice[] memory fields)
    {
        if (hash == 0) revert UnknownBlockHash(number);
        if (keccak256(header) != hash) revert WrongL1Header(number);
        fields = BlockHeader.parseHeader(header);
    }
}
