"""Pictures of walks, costs and fits: each a description in plain numbers, and a drawing of it.

``describe_*`` gives a frozen dataclass of arrays and words; ``draw_*`` puts one on Matplotlib axes, its own or yours;
``plotly_*``, where a page has the picture, makes a Plotly figure of it as a plain dict, without importing Plotly.
Tests, tables and other renderers read the description.  Adding a picture is a file with these functions, and a row of
``kinds`` if it is one of a walk.

=====================  ==============================================================================================
module                 pictures
=====================  ==============================================================================================
``kinds``              every picture of a walk or record by its name: what ``plot`` and ``descender draw`` draw
``curves``             cost, gradient norm, rate, step norm, clipped share of a walk; all side by side; walks raced
``slices``             the cost over one weight with the descent and its tangents; the sweep beside the descent
``surface``            the cost over two parameters, or over the plane in which a walk mostly lies: contours, 3-D
``tracks``             several methods or starts on one surface
``basins``             which start fell into which minimum; the costs at which many starts ended
``film``               a walk frame by frame, as a GIF or as a page that plays
``fits``               candidate lines with their squared errors, the fitted line at chosen steps
``boundary``           points of two features by class; the decision boundary with the probability shaded
``race``               methods raced: how near each is to the bottom after how much work
``weights``            weights as images
``layers``             error vectors and gradients layer by layer and step by step; along the states of recurrent ones
``bars``               coefficients and columns as bars
``classes``            ROC, precision and recall, thresholds, calibration, the confusion of classes
``predictions``        predicted against actual, residuals, histograms
``penalty``            how a penalty was chosen: the held-out loss and the coefficients along the strengths
``displays``           the same through scikit-learn's door: ``...Display.from_estimator(estimator, ax=ax)``
``paths``              points of a walk made ready: thinned, bounded, seen in a plane
``plotly``, ``page``   what figures share on a page, and the page around them
``style``              the one look, and ``save``
=====================  ==============================================================================================
"""
