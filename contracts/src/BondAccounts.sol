// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IBondAccounts} from "./interfaces/IBondAccounts.sol";

/// @title Deposits from which bonds are locked, with pull payments.
/// @dev INVARIANT I3: the contract's balance is at least the sum of all accounts, what is burnt included (the account of the zero address, which nobody can withdraw).
abstract contract BondAccounts is IBondAccounts, ReentrancyGuardTransient {
    struct Account {
        uint128 available; // wei
        uint128 locked; // wei
    }

    mapping(address account => Account) internal _accounts;

    /// @inheritdoc IBondAccounts
    function bondAccount(address account) external view returns (uint256 available, uint256 locked) {
        Account storage entry = _accounts[account];
        return (entry.available, entry.locked);
    }

    /// @inheritdoc IBondAccounts
    function deposit() external payable {
        _deposit(msg.sender);
    }

    /// @inheritdoc IBondAccounts
    function withdraw(uint256 amount, address to) external nonReentrant {
        Account storage entry = _accounts[msg.sender];
        if (entry.available < amount) revert InsufficientDeposit(msg.sender, entry.available, amount);
        // Effects first: a recipient that calls anything here finds the reduced deposit.
        entry.available -= uint128(amount);
        emit Withdrawn(msg.sender, to, amount);
        (bool success,) = to.call{value: amount}("");
        if (!success) revert WithdrawalFailed(to);
    }

    function _deposit(address account) internal {
        _accounts[account].available += uint128(msg.value);
        emit Deposited(account, msg.value);
    }

    function _lock(address account, uint256 amount) internal {
        Account storage entry = _accounts[account];
        uint256 available = entry.available;
        if (available < amount) revert InsufficientDeposit(account, available, amount);
        // Both fit: available >= amount, and all deposits together are below 2^128 wei.
        (entry.available, entry.locked) = (uint128(available - amount), entry.locked + uint128(amount));
        emit BondLocked(account, amount);
    }

    function _release(address account, uint256 amount) internal {
        Account storage entry = _accounts[account];
        (entry.available, entry.locked) = (entry.available + uint128(amount), entry.locked - uint128(amount));
        emit BondReleased(account, amount);
    }

    /// @dev Takes `amount` of the locked deposit and gives `share` of it to `recipient`; the rest is burnt.
    function _spend(address account, uint256 amount, address recipient, uint256 share) internal {
        _accounts[account].locked -= uint128(amount);
        _credit(recipient, share);
        _credit(address(0), amount - share);
        emit BondSlashed(account, amount, amount - share);
    }

    function _credit(address account, uint256 amount) internal {
        _accounts[account].available += uint128(amount);
    }

    /// @dev Takes `amount` of the locked deposit and gives `shares` of it to `recipients`; the rest is burnt.
    function _slash(address account, uint256 amount, address[] calldata recipients, uint256[] calldata shares) internal {
        if (recipients.length != shares.length) revert WrongShares(shares.length, recipients.length);
        _accounts[account].locked -= uint128(amount);
        uint256 given;
        for (uint256 i; i < recipients.length; ++i) {
            given += shares[i];
            if (given > amount) revert WrongShares(given, amount);
            _accounts[recipients[i]].available += uint128(shares[i]);
        }
        _accounts[address(0)].available += uint128(amount - given);
        emit BondSlashed(account, amount, amount - given);
    }
}
