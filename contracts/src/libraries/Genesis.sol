// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";

import {IExclaveSession} from "../interfaces/IExclaveSession.sol";
import {Opening} from "../interfaces/DisputeTypes.sol";
import {SessionConfig} from "../interfaces/Types.sol";
import {SessionHash} from "./SessionHash.sol";
import {TransactionTrie} from "./TransactionTrie.sol";

/// @title Block 0 of a session, which L1 knows without a proof (docs/protocol.md, sections 3 to 5).
library Genesis {
    error WrongOpening();

    address private constant PREDEPLOY = 0x4578636c61766500000000000000000000000001;
    address private constant SYSTEM_ADDRESS = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;
    uint64 private constant INIT_GAS = 10_000_000;
    uint256 private constant GAS_LIMIT = 30_000_000;
    /// @dev keccak256 of the RLP of an empty list.
    bytes32 private constant EMPTY_OMMERS = 0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347;
    /// @dev sha256 of nothing (EIP-7685).
    bytes32 private constant EMPTY_REQUESTS = 0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855;
    uint256 private constant FIELDS = 21;
    uint256 private constant BLOOM_BYTES = 256;
    uint256 private constant NONCE_BYTES = 8;

    /// @notice The seed that L1 gave a session by its block `openedBlock + 1`.
    function seedOf(bytes32 prevRandao, uint64 sessionId) internal pure returns (bytes32) {
        return keccak256(abi.encode(prevRandao, sessionId));
    }

    /// @notice The hash of block 0.
    function blockHash(
        SessionConfig calldata config,
        bytes32 configHash,
        uint64 chainId,
        Opening calldata opening,
        bytes32 seed
    ) internal pure returns (bytes32) {
        if (
            SessionHash.template(opening.stateRoot, opening.dataHash) != config.templateId
                || SessionHash.players(opening.players) != config.playersHash
                || keccak256(opening.initData) != config.initDataHash
        ) revert WrongOpening();
        bytes[] memory fields = new bytes[](FIELDS);
        fields[0] = RLP.encode(bytes32(0)); // parent
        fields[1] = RLP.encode(EMPTY_OMMERS);
        fields[2] = RLP.encode(address(0)); // beneficiary
        fields[3] = RLP.encode(opening.stateRoot);
        fields[4] = RLP.encode(TransactionTrie.EMPTY);
        fields[5] = RLP.encode(TransactionTrie.EMPTY); // receipts
        fields[6] = RLP.encode(new bytes(BLOOM_BYTES));
        fields[7] = RLP.encode(uint256(0)); // difficulty
        fields[8] = RLP.encode(uint256(0)); // number
        fields[9] = RLP.encode(GAS_LIMIT);
        fields[10] = RLP.encode(uint256(0)); // gas used
        fields[11] = RLP.encode(uint256(config.openedAt));
        fields[12] = RLP.encode(configHash);
        fields[13] = RLP.encode(seed);
        fields[14] = RLP.encode(new bytes(NONCE_BYTES));
        fields[15] = RLP.encode(uint256(0)); // base fee
        fields[16] = RLP.encode(TransactionTrie.EMPTY); // withdrawals
        fields[17] = RLP.encode(uint256(0)); // blob gas used
        fields[18] = RLP.encode(uint256(0)); // excess blob gas
        fields[19] = RLP.encode(_initMessage(config, configHash, chainId, opening, seed));
        fields[20] = RLP.encode(EMPTY_REQUESTS);
        return keccak256(RLP.encode(fields));
    }

    function _initMessage(
        SessionConfig calldata config,
        bytes32 configHash,
        uint64 chainId,
        Opening calldata opening,
        bytes32 seed
    ) private pure returns (bytes32) {
        bytes32 dataHash = keccak256(
            abi.encodeCall(
                IExclaveSession.init,
                (configHash, config.sessionId, config.deadline, seed, opening.players, opening.initData)
            )
        );
        return keccak256(abi.encode(chainId, uint64(0), SYSTEM_ADDRESS, PREDEPLOY, INIT_GAS, uint64(0), dataHash));
    }
}
