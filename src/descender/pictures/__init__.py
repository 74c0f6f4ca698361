"""Pictures of walks, costs and fits: each a description in plain numbers, and a drawing of it.

``describe_*`` gives a frozen dataclass of arrays and words; ``draw_*`` puts one on Matplotlib axes, its own or yours.
Tests, tables and other renderers read the description; :mod:`descender.pictures.plotly` turns some of them into Plotly
figures as plain dicts, without importing Plotly.

=====================  ==============================================================================================
module                 pictures
=====================  ==============================================================================================
``curves``             cost, gradient norm, learning rate or step norm of a walk; several walks raced
``slices``             the cost over one weight with the descent and its tangents; the sweep beside the descent
``surface``            the cost over two parameters, or over the plane in which a walk mostly lies: contours, 3-D
``basins``             which start fell into which minimum; the costs at which many starts ended
``fits``               candidate lines with their squared errors, the fitted line at chosen steps
``boundary``           points of two features by class; the decision boundary with the probability shaded
``race``               methods raced: how near each is to the bottom after how much work
``weights``            weights as images
``evaluation``         coefficients as bars, ROC, calibration, predicted against actual
``quality``            precision and recall, thresholds, score histograms, residuals, classes: for the page
``layers``             error vectors and gradients layer by layer and step by step; along the states of recurrent ones
``importance``         how much each column moves a linear model
``penalty``            how a penalty was chosen: the held-out loss and the coefficients along the strengths
``plotly``             the same descriptions as Plotly figures
``plotly_quality``     the figures of ``quality`` and of the path of penalties
``style``              the one look, and ``save``
=====================  ==============================================================================================
"""
