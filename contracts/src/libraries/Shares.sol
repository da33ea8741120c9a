// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title How a lost bond is divided.
library Shares {
    /// @dev Basis points.
    uint256 internal constant WHOLE = 10_000;

    /// @notice What isn't burnt of a lost bond. INVARIANT I3: who loses to himself loses the rest.
    function kept(uint256 bond, uint256 burntShare) internal pure returns (uint256) {
        return bond - bond * burntShare / WHOLE;
    }
}
