// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DisputeHandler} from "./support/DisputeHandler.sol";
import {TestBase} from "./support/TestBase.sol";

contract DisputeInvariantsTest is TestBase {
    DisputeHandler private handler;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public {
        handler = new DisputeHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev The checks are not among what actors do.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory selectors = new bytes4[](14);
        selectors[0] = handler.openOne.selector;
        selectors[1] = handler.claimOne.selector;
        selectors[2] = handler.disputeOne.selector;
        selectors[3] = handler.answerOne.selector;
        selectors[4] = handler.resolveOne.selector;
        selectors[5] = handler.reclaimOne.selector;
        selectors[6] = handler.releaseOne.selector;
        selectors[7] = handler.settleOne.selector;
        selectors[8] = handler.abortOne.selector;
        selectors[9] = handler.bindOne.selector;
        selectors[10] = handler.equivocate.selector;
        selectors[11] = handler.moveStake.selector;
        selectors[12] = handler.withdrawSome.selector;
        selectors[13] = handler.passTime.selector;
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    /// forge-config: slow.invariant.runs = 2000
    /// forge-config: slow.invariant.depth = 250
    function invariant_I3_funds_are_conserved() public view {
        handler.checkFunds();
    }

    /// forge-config: slow.invariant.runs = 2000
    /// forge-config: slow.invariant.depth = 250
    function invariant_I1_I2_disputes_hold_leaves_and_end() public view {
        handler.checkLeaves();
    }

    function afterInvariant() public {
        handler.checkNothingStuck();
    }

    /// @dev The actors do reach every end: the invariants are not about an empty system.
    function test_the_actors_reach_every_end() public {
        bytes4[] memory selectors = targetSelectors()[0].selectors;
        uint256[9] memory ends;
        for (uint256 run; run < 20; ++run) {
            handler = new DisputeHandler();
            for (uint256 i; i < 150; ++i) {
                uint256 seed = uint256(keccak256(abi.encode(run, i)));
                // Claims, disputes, answers and time more often than the rest.
                uint256 which = (seed >> 200) % 24;
                if (which >= selectors.length) which = which % 4 == 0 ? selectors.length - 1 : which % 4;
                (bool success,) = address(handler)
                    .call(
                        abi.encodePacked(
                            selectors[which], seed, keccak256(abi.encode(seed)), keccak256(abi.encode(~seed))
                        )
                    );
                assertTrue(success, "an actor's call");
                handler.checkFunds();
                handler.checkLeaves();
            }
            ends[0] += handler.settled();
            ends[1] += handler.aborted();
            ends[2] += handler.unproven();
            ends[3] += handler.provenWrong();
            ends[4] += handler.answeredByData();
            ends[5] += handler.answeredByProof();
            ends[6] += handler.released();
            ends[7] += handler.reclaimed();
            ends[8] += handler.refusedLies();
            handler.checkNothingStuck();
        }
        for (uint256 i; i < ends.length; ++i) {
            assertTrue(ends[i] > 0, string.concat("end ", toString(i)));
        }
    }
}
