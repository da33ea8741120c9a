// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Terms} from "./Types.sol";

/// @title What ZkRelayer asks the dispute contract of terms.
interface IDisputeRules {
    /// @notice Reverts unless disputes by this contract's rules fit these terms.
    function checkTerms(Terms calldata terms) external view;

    /// @notice Who may settle sessions by proof: they are settled at once, with nobody to ask.
    function settler() external view returns (address);
}
