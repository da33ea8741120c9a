// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";

import {TestBase} from "./TestBase.sol";

/// @dev L1's history: EIP-2935's own contract, whose ring a test fills as the protocol does.
abstract contract L1Chain is TestBase {
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    uint256 internal constant RING = 8191;
    /// @dev As it is deployed on L1.
    bytes private constant HISTORY_CODE =
        hex"3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500";

    function setUpHistory() internal {
        vm.etch(HISTORY, HISTORY_CODE);
    }

    /// @dev Block `number` has this hash.
    function remember(uint256 number, bytes32 hash) internal {
        vm.store(HISTORY, bytes32(number % RING), hash);
    }

    /// @dev RLP of a header with this number and PREVRANDAO.
    function l1Header(uint256 number, bytes32 prevRandao) internal pure returns (bytes memory) {
        bytes[] memory fields = new bytes[](21);
        for (uint256 i; i < fields.length; ++i) {
            fields[i] = RLP.encode(keccak256(abi.encode(number, i)));
        }
        fields[8] = RLP.encode(number);
        fields[13] = RLP.encode(prevRandao);
        return RLP.encode(fields);
    }
}
