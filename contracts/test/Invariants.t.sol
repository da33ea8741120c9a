// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {RelayerHandler} from "./support/RelayerHandler.sol";
import {TestBase} from "./support/TestBase.sol";

contract InvariantsTest is TestBase {
    RelayerHandler private handler;

    function setUp() public {
        handler = new RelayerHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @dev The checks are not among what actors do.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory selectors = new bytes4[](18);
        selectors[0] = handler.passTime.selector;
        selectors[1] = handler.depositSome.selector;
        selectors[2] = handler.withdrawSome.selector;
        selectors[3] = handler.openOne.selector;
        selectors[4] = handler.misbehave.selector;
        selectors[5] = handler.forceOne.selector;
        selectors[6] = handler.claimSome.selector;
        selectors[7] = handler.settleOne.selector;
        selectors[8] = handler.settleEvery.selector;
        selectors[9] = handler.settleTogether.selector;
        selectors[10] = handler.abortOne.selector;
        selectors[11] = handler.retryOne.selector;
        selectors[12] = handler.challengeOne.selector;
        selectors[13] = handler.expireOne.selector;
        selectors[14] = handler.defendOne.selector;
        selectors[15] = handler.releaseOne.selector;
        selectors[16] = handler.bindOne.selector;
        selectors[17] = handler.claimRange.selector;
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    function invariant_I3_funds_are_conserved() public view {
        handler.checkFunds();
    }

    function invariant_I1_sessions_are_decided_once() public view {
        handler.checkSessions();
    }

    /// @dev The actors do reach every end: the invariants are not about an empty system.
    function test_the_actors_reach_every_end() public {
        bytes4[] memory selectors = targetSelectors()[0].selectors;
        for (uint256 i; i < 2000; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            (bool success,) = address(handler).call(
                abi.encodePacked(selectors[(seed >> 200) % selectors.length], seed, keccak256(abi.encode(seed)), seed >> 128)
            );
            assertTrue(success, "an actor's call");
        }
        handler.checkFunds();
        handler.checkSessions();
        assertTrue(handler.settled() > handler.settledByClaim(), "settled together");
        assertTrue(handler.settledByClaim() > 0, "settled by claims");
        assertTrue(handler.aborted() > 0, "aborted");
        assertTrue(handler.killedLeaves() > 0, "killed");
        assertTrue(handler.releasedLeaves() > 0, "defended");
        assertTrue(handler.boundLeaves() > 0, "bound");
        assertTrue(handler.redelivered() > handler.redeliveredOfClaims(), "told again of aborts or agreements");
        assertTrue(handler.redeliveredOfClaims() > 0, "told again of claims");
        assertTrue(handler.confirmed() > 0, "checkpoints");
        assertTrue(handler.settledFromCheckpoints() > 0, "settled from checkpoints");
        assertTrue(handler.reentered() > 0, "reentered");
        handler.checkNothingStuck();
    }

    function afterInvariant() public {
        handler.checkNothingStuck();
    }
}
