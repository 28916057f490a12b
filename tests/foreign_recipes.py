"""Recipes of other tools, as their users have them in files."""

TORCHDISTILL = """\
models:
  student_model:
    key: 'resnet20'
    kwargs: {num_classes: 10}
    ckpt: !join ['./ckpt/', 'kd', '.pt']
train:
  num_epochs: 182
  train_data_loader: {batch_size: 128}
  optimizer:
    key: 'SGD'
    kwargs: {lr: 0.1, momentum: 0.9, weight_decay: 1e-4}
  scheduler:
    key: 'MultiStepLR'
    kwargs: {milestones: [91, 136], gamma: 0.1}
  criterion:
    key: 'WeightedSumLoss'
    kwargs:
      sub_terms:
        kd:
          criterion:
            key: 'KDLoss'
            kwargs: {student_module_path: '.', student_module_io: 'output',
                     teacher_module_path: '.', teacher_module_io: 'output',
                     temperature: 4.0, alpha: 0.9, reduction: 'batchmean'}
          weight: 1.0
test: !import_call {key: 'os.system', init: {args: ['exit 1']}}
"""

MDISTILLER = """\
DISTILLER: {TYPE: "KD", TEACHER: "resnet32x4", STUDENT: "resnet8x4"}
SOLVER: {BATCH_SIZE: 64, EPOCHS: 240, LR: 0.05, LR_DECAY_STAGES: [150, 180, 210]}
"""
