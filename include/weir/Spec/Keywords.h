//===- Keywords.h - The words of the spec language ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The keys of every mapping and the values of every choice, in the order in
// which messages list them. The schema for editors is tested against these.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SPEC_KEYWORDS_H
#define WEIR_SPEC_KEYWORDS_H

#include "weir/Spec/AST.h"

#include "llvm/ADT/ArrayRef.h"

namespace weir::spec {

/// Keys of one mapping, with the name under which messages speak of it.
struct Keys {
  llvm::StringRef what;
  llvm::ArrayRef<llvm::StringRef> keys;
};

Keys specKeys();
Keys modelKeys();
Keys dictionaryKeys();
Keys matchKeys();
Keys graphKeys();
Keys keepKeys();
Keys thresholdKeys();
Keys graphPartKeys();
Keys knobKeys();
Keys policyKeys();
Keys strengthKeys();
Keys tokensKeys();
Keys rampKeys();
Keys decayKeys();
Keys conditionKeys();
Keys selectorKeys();

/// Keys of a policy that only some actions have.
llvm::ArrayRef<llvm::StringRef> actionKeys(Action action);
/// Keys of `strength` that only some schedules have.
llvm::ArrayRef<llvm::StringRef> scheduleKeys(ScheduleKind schedule);

llvm::ArrayRef<llvm::StringRef> siteNames();
llvm::ArrayRef<llvm::StringRef> formatNames();
llvm::ArrayRef<llvm::StringRef> hookNames();
llvm::ArrayRef<llvm::StringRef> readNames();
llvm::ArrayRef<llvm::StringRef> methodNames();
llvm::ArrayRef<llvm::StringRef> similarityNames();
llvm::ArrayRef<llvm::StringRef> foldingNames();
llvm::ArrayRef<llvm::StringRef> weightNames();
llvm::ArrayRef<llvm::StringRef> actionNames();
llvm::ArrayRef<llvm::StringRef> scheduleNames();
llvm::ArrayRef<llvm::StringRef> layersNames();
llvm::ArrayRef<llvm::StringRef> directionNames();
llvm::ArrayRef<llvm::StringRef> strengthWeightNames();
llvm::ArrayRef<llvm::StringRef> nodesNames();
llvm::ArrayRef<llvm::StringRef> tokenPartNames();
llvm::ArrayRef<llvm::StringRef> substituteFormNames();

} // namespace weir::spec

#endif // WEIR_SPEC_KEYWORDS_H
