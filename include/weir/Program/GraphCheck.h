//===- GraphCheck.h - Whether a graph holds together ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_GRAPHCHECK_H
#define WEIR_PROGRAM_GRAPHCHECK_H

#include "weir/Program/Archive.h"

namespace weir {

/// Checks everything about an exported graph that can be told without knowing
/// its operators:
///
///  - the lists of inputs, outputs and nodes are there, and the signature's run
///    along with the graph's;
///  - every name is defined once, before it is used, and used as what it is (a
///    tensor, a symbolic number, an object);
///  - the tables describe every value: a known dtype, at most 64 sizes, none of
///    them negative, as many strides, an offset, a layout, a device, and
///    symbolic expressions with a hint that is a number;
///  - what is stored has a payload of the same dtype and static sizes;
///  - a node has a target, inputs whose names differ, positional ones before
///    keywords, and metadata;
///  - the signature names each input and output as the graph does, and what is
///    written back names its target.
///
/// Forms that are not known stay allowed where no value could be named in them:
/// an archive may be read and written without running it. Errors name the place.
///
/// `tensors` has the payloads that the archive itself does not hold; null if it is
/// to hold all.
llvm::Error checkGraph(const Archive &archive,
                       const Archive *tensors = nullptr);

} // namespace weir

#endif // WEIR_PROGRAM_GRAPHCHECK_H
