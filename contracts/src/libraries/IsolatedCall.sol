// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Calls into untrusted contracts that can harm nobody but themselves.
library IsolatedCall {
    error NotEnoughGas(uint256 available, uint256 needed);

    /// @dev What the calling code needs around the call itself: a cold account and a new storage word for a failure, with a margin.
    uint256 private constant OVERHEAD = 60_000;

    /// @notice Calls `target` with exactly `gasLimit` gas and copies no return data.
    /// @dev Demands that the full `gasLimit` can be passed on (EIP-150), so that nobody makes the call fail by sending little gas.
    function tryCall(address target, uint256 gasLimit, bytes memory data) internal returns (bool) {
        _checkGas(gasLimit);
        return _call(target, gasLimit, data);
    }

    /// @notice The same with all gas there is, which must be enough for `leastGas`.
    function tryCallWithAtLeast(address target, uint256 leastGas, bytes memory data) internal returns (bool) {
        _checkGas(leastGas);
        return _call(target, gasleft(), data);
    }

    /// @notice Whether a call with `gasLimit` gas can be made now.
    function fits(uint256 gasLimit) internal view returns (bool) {
        return gasleft() >= _needed(gasLimit);
    }

    function _checkGas(uint256 gasLimit) private view {
        if (!fits(gasLimit)) revert NotEnoughGas(gasleft(), _needed(gasLimit));
    }

    function _needed(uint256 gasLimit) private pure returns (uint256) {
        return gasLimit + gasLimit / 63 + OVERHEAD;
    }

    function _call(address target, uint256 gasLimit, bytes memory data) private returns (bool success) {
        assembly ("memory-safe") {
            success := call(gasLimit, target, 0, add(data, 0x20), mload(data), 0, 0)
        }
    }
}
