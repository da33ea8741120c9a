// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Deposits from which bonds are locked, with pull payments. Amounts in wei.
interface IBondAccounts {
    event Deposited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);
    event BondLocked(address indexed account, uint256 amount);
    event BondReleased(address indexed account, uint256 amount);
    event BondSlashed(address indexed account, uint256 amount, uint256 burnt);

    error InsufficientDeposit(address account, uint256 available, uint256 needed);
    error WithdrawalFailed(address to);
    error WrongShares(uint256 sum, uint256 amount);

    /// @notice Adds the value sent to the caller's deposit.
    function deposit() external payable;

    /// @notice Sends `amount` of the caller's available deposit to `to`.
    function withdraw(uint256 amount, address to) external;

    /// @notice The deposit of `account`: what it can withdraw, and what is locked by its claims. What is burnt is the zero address's.
    function bondAccount(address account) external view returns (uint256 available, uint256 locked);
}
