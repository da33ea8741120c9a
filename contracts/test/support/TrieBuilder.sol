// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TransactionTrie} from "../../src/libraries/TransactionTrie.sol";

/// @dev The library behind a call, so that lists are calldata.
contract TrieBuilder {
    function root(bytes[] calldata values) external pure returns (bytes32) {
        return TransactionTrie.root(values);
    }
}
