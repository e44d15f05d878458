// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: not weir-opt %s --fx-find-sites=sites=mlp=a.{layer} 2>&1 | FileCheck %s --check-prefix=NORES
// NORES: error: a map of sites needs 'res', the path of a block
// RUN: not weir-opt %s --fx-find-sites=sites=res=a 2>&1 | FileCheck %s --check-prefix=NOLAYER
// NOLAYER: error: the path of 'res', 'a', does not contain {layer} once
// RUN: not weir-opt %s --fx-find-sites=sites=res=a.{layer},foo=b.{layer} 2>&1 | FileCheck %s --check-prefix=NOPART
// NOPART: error: a map of sites has no part 'foo'
// RUN: not weir-opt %s --fx-find-sites=sites=res=a.{layer},res=b.{layer} 2>&1 | FileCheck %s --check-prefix=TWICE
// TWICE: error: the part 'res' has no path, or two
// RUN: not weir-opt %s --fx-find-sites=sites=res=a.{layer},mlp= 2>&1 | FileCheck %s --check-prefix=EMPTY
// EMPTY: error: the part 'mlp' has no path, or two
// RUN: not weir-opt %s --fx-find-sites=sites=res=a.{layer} 2>&1 | FileCheck %s --check-prefix=NOWHERE
// NOWHERE: error: looked for modules 'a.{layer}', which no call is made in
// RUN: not weir-opt %s --fx-find-sites=family=bert 2>&1 | FileCheck %s --check-prefix=FAMILY
// FAMILY: error: there is no family 'bert'; there are gemma2, gemma3, gpt2, gpt_neox, llama, mistral, qwen2, qwen3

fx.program @main() {
  fx.return []
}
