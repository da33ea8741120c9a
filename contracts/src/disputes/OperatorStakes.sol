// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {BondAccounts} from "../BondAccounts.sol";
import {Preconfirmation} from "../interfaces/DisputeTypes.sol";
import {IOperatorStakes} from "../interfaces/IOperatorStakes.sol";
import {IZkRelayer} from "../interfaces/IZkRelayer.sol";
import {Shares} from "../libraries/Shares.sol";

/// @title What operators have at stake.
/// @dev INVARIANT I3: the balance is the sum of all accounts and all stakes.
contract OperatorStakes is BondAccounts, IOperatorStakes {
    struct Stake {
        uint128 staying;
        uint128 leaving;
        uint64 until; // from then on what is leaving is free
    }

    bytes32 public constant PRECONFIRMATION_TYPEHASH =
        keccak256("Preconfirmation(uint64 sessionId,uint64 number,bytes32 blockHash)");

    IZkRelayer private immutable relayer;
    /// @dev The dispute contract, which created this one.
    address private immutable game;
    uint256 private immutable stakePerOffence;
    uint256 private immutable burntShare;
    uint256 private immutable stakeDelay;

    mapping(address operator => Stake) private _stakes;
    mapping(address operator => mapping(bytes32 offence => bool)) private _slashed;

    constructor(IZkRelayer relayer_, uint256 stakePerOffence_, uint256 burntShare_, uint256 stakeDelay_) {
        (relayer, game) = (relayer_, msg.sender);
        (stakePerOffence, burntShare, stakeDelay) = (stakePerOffence_, burntShare_, stakeDelay_);
    }

    /// @inheritdoc IOperatorStakes
    function depositStake() external payable {
        _stakes[msg.sender].staying += uint128(msg.value);
        emit StakeDeposited(msg.sender, msg.value);
    }

    /// @inheritdoc IOperatorStakes
    function beginStakeReturn(uint256 amount) external {
        Stake storage stake = _stakes[msg.sender];
        uint256 staying = stake.staying;
        if (amount > staying) revert InsufficientStake(msg.sender, staying, amount);
        uint256 until = block.timestamp + stakeDelay;
        (stake.staying, stake.leaving, stake.until) =
        (uint128(staying - amount), stake.leaving + uint128(amount), uint64(until));
        emit StakeLeaving(msg.sender, amount, until);
    }

    /// @inheritdoc IOperatorStakes
    function finishStakeReturn() external {
        Stake storage stake = _stakes[msg.sender];
        if (block.timestamp < stake.until) revert StakeNotFree(msg.sender, stake.until);
        uint256 amount = stake.leaving;
        (stake.leaving, stake.until) = (0, 0);
        _credit(msg.sender, amount);
        emit StakeReturned(msg.sender, amount);
    }

    /// @inheritdoc IOperatorStakes
    function reportEquivocation(Preconfirmation calldata one, bytes32 otherHash, bytes calldata otherSignature)
        external
    {
        address operator = signerOf(one);
        if (one.blockHash == otherHash || _signerOf(one.sessionId, one.number, otherHash, otherSignature) != operator) {
            revert NoEquivocation();
        }
        bytes32 offence = bytes32(uint256(one.sessionId));
        if (!_slashStake(operator, offence, msg.sender)) revert AlreadySlashed(operator, offence);
    }

    /// @inheritdoc IOperatorStakes
    function slash(address operator, bytes32 offence, address reporter) external returns (bool) {
        if (msg.sender != game) revert NotDisputeGame(msg.sender);
        return _slashStake(operator, offence, reporter);
    }

    /// @inheritdoc IOperatorStakes
    function signerOf(Preconfirmation calldata signed) public view returns (address) {
        return _signerOf(signed.sessionId, signed.number, signed.blockHash, signed.signature);
    }

    /// @inheritdoc IOperatorStakes
    function stakeOf(address operator) external view returns (uint256 staying, uint256 leaving, uint256 until) {
        Stake storage stake = _stakes[operator];
        return (stake.staying, stake.leaving, stake.until);
    }

    /// @inheritdoc IOperatorStakes
    function isSlashed(address operator, bytes32 offence) external view returns (bool) {
        return _slashed[operator][offence];
    }

    /// @dev Once for an offence, and only if there is a stake, so that nobody is cleared of it by having none. What isn't the reporter's is burnt:
    /// INVARIANT I3, who reports himself loses.
    function _slashStake(address operator, bytes32 offence, address reporter) private returns (bool) {
        Stake storage stake = _stakes[operator];
        (uint256 staying, uint256 leaving) = (stake.staying, stake.leaving);
        uint256 amount = staying + leaving < stakePerOffence ? staying + leaving : stakePerOffence;
        if (amount == 0 || _slashed[operator][offence]) return false;
        _slashed[operator][offence] = true;
        uint256 ofStaying = amount < staying ? amount : staying;
        (stake.staying, stake.leaving) = (uint128(staying - ofStaying), uint128(leaving - (amount - ofStaying)));
        uint256 share = Shares.kept(amount, burntShare);
        _credit(reporter, share);
        _credit(address(0), amount - share);
        emit StakeSlashed(operator, offence, reporter, amount);
        return true;
    }

    /// @dev Reverts if it is nobody's signature.
    function _signerOf(uint64 sessionId, uint64 number, bytes32 blockHash, bytes calldata signature)
        private
        view
        returns (address)
    {
        bytes32 message = keccak256(abi.encode(PRECONFIRMATION_TYPEHASH, sessionId, number, blockHash));
        return ECDSA.recoverCalldata(MessageHashUtils.toTypedDataHash(relayer.domainSeparator(), message), signature);
    }
}
