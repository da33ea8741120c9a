// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Preconfirmation} from "./DisputeTypes.sol";
import {IBondAccounts} from "./IBondAccounts.sol";

/// @title What operators have at stake for the blocks that they sign and the claims that they make. Amounts in wei.
/// @notice What was slashed and what was taken back goes to deposits here, to be withdrawn.
interface IOperatorStakes is IBondAccounts {
    event StakeDeposited(address indexed operator, uint256 amount);
    event StakeLeaving(address indexed operator, uint256 amount, uint256 until);
    event StakeReturned(address indexed operator, uint256 amount);
    /// @param offence The session's configHash for a claim that was proven wrong, its id for what was signed.
    event StakeSlashed(address indexed operator, bytes32 indexed offence, address indexed reporter, uint256 amount);

    error NotDisputeGame(address caller);
    error NoEquivocation();
    error AlreadySlashed(address operator, bytes32 offence);
    error StakeNotFree(address operator, uint256 until);
    error InsufficientStake(address operator, uint256 staying, uint256 needed);

    /// @notice Adds the value sent to the caller's stake.
    function depositStake() external payable;

    /// @notice Begins to take `amount` back. It can be slashed as before for `stakeDelay` seconds, which begin anew for all that is leaving.
    function beginStakeReturn(uint256 amount) external;

    /// @notice Moves what has left to the caller's deposit, from which it can be withdrawn.
    function finishStakeReturn() external;

    /// @notice Slashes the stake of who signed two blocks of one session and number. Once per session.
    /// @param otherHash The other block's, with its signature.
    function reportEquivocation(Preconfirmation calldata one, bytes32 otherHash, bytes calldata otherSignature) external;

    /// @notice Slashes an operator's stake, once for an offence. The dispute contract only.
    /// @return False if it was slashed before, or there is none.
    function slash(address operator, bytes32 offence, address reporter) external returns (bool);

    /// @notice Who signed; reverts if nobody did.
    function signerOf(Preconfirmation calldata signed) external view returns (address);

    /// @return staying What isn't about to leave.
    /// @return leaving What is, slashable too.
    /// @return until From when on it can be had; 0 if nothing is leaving.
    function stakeOf(address operator) external view returns (uint256 staying, uint256 leaving, uint256 until);

    function isSlashed(address operator, bytes32 offence) external view returns (bool);
}
