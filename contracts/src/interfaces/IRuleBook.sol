// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DisputeRules, Kind} from "./DisputeTypes.sol";
import {IDisputeRules} from "./IDisputeRules.sol";
import {IZkRelayer} from "./IZkRelayer.sol";

/// @title Deadlines and bonds of disputes, fixed at construction.
interface IRuleBook is IDisputeRules {
    error WrongRules();
    error NotRelayer(address caller);
    error UnfitTerms();

    /// @notice Whose claims these are the disputes of. Terms are checked for it alone.
    function relayer() external view returns (IZkRelayer);

    function rules() external view returns (DisputeRules memory);

    /// @notice What opening a dispute of this kind locks, in wei.
    function bondOf(Kind kind) external view returns (uint256);

    /// @notice The longest time, in seconds, for which a leaf can be in dispute after its claim's window.
    function maxDisputeTime() external view returns (uint256);
}
